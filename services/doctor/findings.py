"""What a look at an installation finds."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

_NAMED: Final = 3
Verdict = Literal["well", "look", "ill"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `look` is worth a thought, `ill` must be mended before production."""

    what: str
    verdict: Verdict
    found: str
    do: str = ""


def judged(what: str, found: str, *, fine: bool, otherwise: Verdict, do: str) -> Finding:
    """A finding that is well where it is fine; otherwise its verdict, and what to do about it."""
    return Finding(what, "well", found) if fine else Finding(what, otherwise, found, do)


def some_of(names: Collection[str]) -> str:
    """The first names in order, and how many there are besides."""
    shown = ", ".join(sorted(names)[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
