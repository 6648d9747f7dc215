"""Survey definitions: what is asked at each touchpoint, by version; docs/surveys.md tells how. Pure.

A definition never changes once answers have been given to it: another wording, order or question is a new
version in a new file, so that every answer keeps the meaning it was given with.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from schemas.delivery import DeliveryException, Touchpoint
from schemas.response import RatedParty

FIVE_STEPS: Final = ("courtesy", "time_kept", "expectation", "ease", "contactability")
"""Questions answered with 1 to 5; 5 is best."""
RECOMMEND: Final = "recommend"
"""The question of the net promoter score, answered with 0 to 10 (D4)."""
INDEX: Final = ("satisfaction", "expectancy", "ideal")
"""The three questions of the index of ACSI form, answered with 1 to 10 (D4). All three or none."""
REASONS: Final = ("on_time", "right_place", "condition", "courtesy", "information", "other")
"""Every reason chip there is; a definition offers some of them."""
SCALES: Final = ("smiley5.v1",)
"""What the faces are and mean: `smiley5.v1` is 1 very dissatisfied to 5 very satisfied."""
_MIDDLE = 3


class Occasion(StrEnum):
    """What a definition is for: a touchpoint, or a delivery that arrived damaged."""

    HOME = Touchpoint.HOME.value
    SHOP_PICKUP = Touchpoint.SHOP_PICKUP.value
    LOCKER = Touchpoint.LOCKER.value
    RETURN = Touchpoint.RETURN.value
    ENQUIRY = Touchpoint.ENQUIRY.value
    DAMAGED = DeliveryException.DAMAGED.value


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A further question: the form field is `q.<name>`, the answer a whole number from `smallest` to `largest`."""

    name: str
    largest: int
    smallest: int = 1


FOLLOW_UPS: Final[Mapping[str, FollowUp]] = MappingProxyType(
    {
        **{name: FollowUp(name, 5) for name in FIVE_STEPS},
        RECOMMEND: FollowUp(RECOMMEND, 10, 0),
        **{name: FollowUp(name, 10) for name in INDEX},
    }
)
"""Every further question there is, by its name."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One version of one survey.

    Attributes:
        id: such as `home.v1`; goes with every answer.
        occasion: what it is for.
        rated: whom the answer is about.
        scale: the faces and their fixed meaning.
        follow_ups: in the order in which they are asked.
        low: reason chips for the scores 1 and 2.
        middle: reason chips for the score 3.
        high: reason chips for the scores 4 and 5.
        comment: whether there is a box for a comment.
        sha256: of what the file says, whatever its spaces and remarks are.
    """

    id: str
    occasion: Occasion
    rated: RatedParty
    scale: str
    follow_ups: tuple[FollowUp, ...]
    low: tuple[str, ...]
    middle: tuple[str, ...]
    high: tuple[str, ...]
    comment: bool
    sha256: bytes = field(default=b"", compare=False, repr=False)

    @property
    def version(self) -> int:
        """The number after `.v`."""
        return int(self.id.rpartition(".v")[2])

    def reasons_for(self, score: int) -> tuple[str, ...]:
        """The reason chips that go with a score, in the order in which they are shown."""
        if score == _MIDDLE:
            return self.middle
        return self.low if score < _MIDDLE else self.high


class Definitions:
    """All versions that this installation knows. Choosing never fails: some survey always fits.

    The installation's `own` ones come before those that came with the service, whatever their numbers are: a new
    version of Kvittera never changes what an occasion of theirs asks.
    """

    def __init__(self, known: Iterable[Definition], own: Iterable[Definition] = ()) -> None:
        shipped, ours = ({d.id: d for d in some} for some in (known, own))
        self._known = shipped | ours
        newest: dict[Occasion, Definition] = {}
        for some in (shipped, ours):
            for definition in sorted(some.values(), key=lambda d: d.version):
                newest[definition.occasion] = definition
        self._newest = newest

    def __iter__(self) -> Iterator[Definition]:
        """All of them, every version."""
        return iter(self._known.values())

    def get(self, survey: str | None) -> Definition | None:
        """The definition of an id, or None where there is none, as with the general `delivery.v1`."""
        return self._known.get(survey or "")

    def choose(self, survey: str | None, touchpoint: str, exceptions: Collection[str] = ()) -> Definition:
        """What to ask: the survey named if it is one of ours, else the newest that fits the delivery.

        An invitation for the general survey `delivery.v1` leaves the choice to the delivery's own facts.
        """
        if (named := self.get(survey)) is not None:
            return named
        if DeliveryException.DAMAGED in exceptions:
            return self._newest[Occasion.DAMAGED]
        return self._newest.get(_occasion(touchpoint), self._newest[Occasion.HOME])


def _occasion(touchpoint: str) -> Occasion:
    try:
        return Occasion(touchpoint)
    except ValueError:
        return Occasion.HOME
