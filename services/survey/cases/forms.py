"""From what the inbox posts to a step. Everything from outside is cleaned or refused here."""

from collections.abc import Callable
from typing import Final

from starlette.requests import Request

from schemas.feedback import Attribution, Cause, Nature
from schemas.response import RatedParty
from services.chassis.forms import NotAForm, TooLarge, read_pairs
from services.survey.answers.responses import Rejected, clean_comment
from services.survey.cases.work import Action, Place, Step
from services.survey.staff.forms import Form

_LONGEST_BODY = 64 * 1024
_MOST_FIELDS = 500
RELABELLED_BECAUSE: Final = {
    "goods": "It is about the goods",
    "service_elsewhere": "It is about how others served the person",
    "other_delivery": "It is about another carrier's delivery",
    "put_back": "It was labelled wrongly before",
}
"""Why an answer is about another party, by code: no free text, so nothing personal can stand there."""
Close = Callable[[str], bytes]
"""Seals staff's words to the person."""


async def read_form(request: Request) -> Form:
    """Read a posted form.

    Raises:
        Rejected: too large, or no form in UTF-8.
    """
    try:
        return Form(await read_pairs(request, longest=_LONGEST_BODY, most_fields=_MOST_FIELDS))
    except TooLarge:
        raise Rejected("body", f"must have at most {_LONGEST_BODY} bytes") from None
    except NotAForm:
        raise Rejected("body", "must be a form in UTF-8") from None


def read_step(form: Form, owners: dict[str, str], close: Close) -> Step:
    """What the form asks to do with a case.

    Raises:
        Rejected: a field breaks its rule.
    """
    cause, _, attribution = form.word("judgement").partition(".")
    outcome = clean_comment(form.word("outcome"))
    owner = form.word("owner")
    if owner and owner not in owners:
        raise Rejected("owner", "must be somebody who works on cases here")
    try:
        return Step(
            action=Action(form.word("action")),
            note=clean_comment(form.word("note")),
            owner=(owner, owners[owner]) if owner else None,
            cause=Cause(cause) if cause else None,
            attribution=Attribution(attribution) if attribution else None,
            place=Place(form.word("place")) if form.word("place") else None,
            outcome_sealed=close(outcome) if outcome else None,
            told=form.word("told") == "1",
            send=form.word("send") == "1",
            nature=Nature(form.word("nature")) if form.word("nature") else None,
        )
    except ValueError:
        raise Rejected("action", "and the codes must be among the ones offered") from None


def read_rated(form: Form) -> tuple[RatedParty, str]:
    """Whom an answer is about, and why staff say so.

    Raises:
        Rejected: either is none of those offered.
    """
    party, why = form.word("rated"), form.word("why")
    if party not in set(RatedParty) or why not in RELABELLED_BECAUSE:
        raise Rejected("rated", "and the reason must be among those offered")
    return RatedParty(party), why


def read_picked(form: Form) -> dict[str, int]:
    """The cases that were ticked in the list: each number with the revision that the list showed.

    Raises:
        Rejected: none was ticked, or one comes without its revision.
    """
    picked = [one.partition(":") for one in form.every("case")]
    if not picked:
        raise Rejected("case", "must be chosen, one at least")
    return {number: _revision(revision) for number, _, revision in picked}


def read_revision(form: Form) -> int:
    """The revision that the page showed.

    Raises:
        Rejected: it is missing or no number.
    """
    return _revision(form.word("revision"))


def _revision(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):  # noqa: PLR2004 below 2**53
        raise Rejected("revision", "must be the number that the page showed")
    return int(text)
