"""Forms that staff post: read within bounds, and only from the member's own pages."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from services.chassis.forms import NotAForm, Pairs, TooLarge, read_pairs
from services.chassis.http import problem
from services.chassis.staff import Gate, Member

_LONGEST: Final = 64 * 1024
_MOST_FIELDS: Final = 1000
_KIND: Final = "application/x-www-form-urlencoded"
_MOST_DIGITS: Final = 9


class TurnedAway(Exception):
    """The form is not acted upon; `response` says why."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


@dataclass(frozen=True, slots=True)
class Form:
    """What was posted, as text."""

    pairs: Pairs

    def word(self, name: str) -> str:
        """The first value of a field, empty without one."""
        return next(iter(self.every(name)), "")

    def number(self, name: str) -> int | None:
        """The first value as a whole number from 0, None where it is none."""
        return as_number(self.word(name))

    def numbers(self, name: str) -> tuple[int, ...]:
        """All values that are whole numbers."""
        return tuple(n for n in map(as_number, self.every(name)) if n is not None)

    def every(self, name: str) -> list[str]:
        """All values of a field."""
        return [value for field, value in self.pairs if field == name]


async def posted(request: Request, gate: Gate) -> tuple[Member, Form]:
    """The member and the form.

    Raises:
        TurnedAway: nobody is signed in, it is no form of ours, or it is too large.
    """
    member = gate.who(request)
    if member is None:
        raise TurnedAway(gate.turn_away(request))
    if not request.headers.get("content-type", "").lower().startswith(_KIND):
        raise TurnedAway(problem(415, "Post a form"))
    form = Form(await _read(request))
    if not gate.form_is_ours(member, form.word("form_secret")):
        raise TurnedAway(problem(403, "This request did not come from our pages"))
    return member, form


def as_number(text: str) -> int | None:
    """A whole number from 0 with at most nine digits, else None."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


async def _read(request: Request) -> Pairs:
    try:
        return await read_pairs(request, longest=_LONGEST, most_fields=_MOST_FIELDS)
    except TooLarge:
        raise TurnedAway(problem(413, "Too large")) from None
    except NotAForm:
        raise TurnedAway(problem(422, "The form cannot be read")) from None
