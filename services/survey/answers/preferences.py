"""How often and where a person wants to be asked: from the words of the page to what is kept. Pure."""

from dataclasses import dataclass
from typing import Final

_PER_YEAR: Final = {"quarterly": 4, "yearly": 1}
FREQUENCIES: Final = ("every", "quarterly", "yearly", "never")
CHANNELS: Final = ("sms", "email", "app")
ANY_CHANNEL: Final = "any"


@dataclass(frozen=True, slots=True)
class Preference:
    """What a person said; None leaves what was said before.

    Attributes:
        frequency: one of FREQUENCIES.
        channel: one of CHANNELS, or ANY_CHANNEL to take a choice back.
    """

    frequency: str | None = None
    channel: str | None = None

    @property
    def never(self) -> bool:
        """Whether the person must never be asked again."""
        return self.frequency == "never"

    @property
    def most_per_year(self) -> int | None:
        """Most requests in a year; None: as the carrier's own budget says."""
        return _PER_YEAR.get(self.frequency or "")

    @property
    def only_channel(self) -> str | None:
        """The only channel allowed; None: any."""
        return None if self.channel == ANY_CHANNEL else self.channel

    @classmethod
    def kept(cls, *, never: bool, most_per_year: int | None, only_channel: str | None) -> "Preference":
        """In the page's words; a number of times that the page does not offer has none."""
        named = {number: word for word, number in _PER_YEAR.items()} | {None: "every"}
        return cls("never" if never else named.get(most_per_year), only_channel)
