"""The praise queue for staff as a pure page: what is shown goes in, bytes come out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.chassis.staff import Member
from services.chassis.web import (
    SCORES,
    face,
    inline_style,
    staff_environment,
    staff_nav,
)
from services.survey.comments.texts import Comment
from services.survey.praise.desk import Moment, Shown
from services.survey.praise.rules import Act, Praise, State, may, possible_acts, role_for
from services.survey.praise.scrub import Kind, Piece, scrub, words
from services.survey.praise.signs import sign_of

_PAGES: Final = Path(__file__).parent / "pages"
TABS: Final = {
    "waiting": ("To pass on", (State.WAITING,)),
    "passed_on": ("Passed on", (State.PASSED_ON,)),
    "on_board": ("On the board", (State.ON_BOARD,)),
    "disputed": ("Disputed", (State.DISPUTED,)),
    "declined": ("Declined", (State.DECLINED,)),
}
MASK_WORDS: Final = {
    Kind.NAME: "name",
    Kind.PHONE: "phone",
    Kind.EMAIL: "e-mail",
    Kind.WEB: "link",
    Kind.ADDRESS: "address",
    Kind.PERSONAL_NUMBER: "personal number",
    Kind.CODE: "code",
    Kind.NUMBER: "number",
    Kind.WORD: "masked",
}
_STATES: Final = {state: state.replace("_", " ").capitalize() for state in State}
_SCORES: Final = {4: "Satisfied", 5: "Very satisfied"}
REASONS: Final = {
    "on_time": "on time",
    "right_place": "right place",
    "condition": "condition",
    "courtesy": "courtesy",
    "information": "information",
    "other": "other",
}
_BUTTONS: Final = {
    Act.PASS_ON: "Passed on to the one who did it",
    Act.TAKE_DOWN: "Take off the board",
    Act.DECLINE: "Decline: this is no praise",
    Act.RESTORE: "Settle: the praise stands",
    Act.UPHOLD: "Settle: the driver is right",
    Act.RECONSIDER: "Take it up again",
}
_EVENTS: Final = {
    "opened": "Praised",
    "changed": "The recipient changed the answer",
    "withdrawn": "The recipient's answer is no praise any more",
    Act.PASS_ON: "Passed on",
    Act.APPROVE: "Put on the board",
    Act.TAKE_DOWN: "Taken off the board",
    Act.DECLINE: "Declined",
    Act.DISPUTE: "Disputed by the driver",
    Act.RESTORE: "Dispute settled, the praise stands",
    Act.UPHOLD: "Dispute settled, the driver is right",
    Act.RECONSIDER: "Taken up again",
    "driver_declines": "The driver declines to be on boards",
    "driver_welcome": "The driver wants to be on boards again",
}
_LANGUAGES: Final = {
    "sv": "Swedish",
    "nb": "Norwegian (bokmål)",
    "nn": "Norwegian (nynorsk)",
    "da": "Danish",
    "fi": "Finnish",
    "en": "English",
    "de": "German",
    None: "Not sure",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """The praise that is open, its timeline, and the language of its comment."""

    shown: Shown
    timeline: Sequence[Moment]
    language: str | None


class QueuePage:
    """Renders the queue. Build one at start; `headers` go with each page."""

    def __init__(self) -> None:
        environment = staff_environment(
            _PAGES,
            skip_label="Skip to the praise",
            faces={score: face(score, 24) for score in SCORES},
            mask_words=MASK_WORDS,
            state_words=_STATES,
            score_words=_SCORES,
            tabs=[(key, label) for key, (label, _) in TABS.items()],
        )
        self.headers = inline_style(environment, _PAGES / "queue.css")
        self._template = environment.get_template("queue.html")

    def render(
        self,
        member: Member,
        form_secret: str,
        rows: Sequence[Shown],
        chosen: Chosen | None,
        *,
        show: str,
        waiting: tuple[int, int],
        now: datetime,
        notice: str = "",
        further: str = "",
    ) -> bytes:
        """The page with the tab `show` open; `further` is the address of the next page of the list."""
        return self._template.render(
            nav=staff_nav("/praise", {"/praise": waiting[0]}),
            initials=member.initials,
            form_secret=form_secret,
            rows=[_row(row, now) for row in rows],
            chosen_id=None if chosen is None else chosen.shown.praise.praise_id,
            detail=None if chosen is None else _detail(chosen, member, now),
            show=show,
            waiting=waiting[0],
            late=waiting[1],
            notice=notice,
            further=further,
        ).encode()


def _row(shown: Shown, now: datetime) -> dict[str, Any]:
    praise = shown.praise
    is_late = praise.state is State.WAITING and praise.pass_on_by < now
    return {
        "id": praise.praise_id,
        "praise": praise,
        "pieces": _pieces(praise, shown.comment),
        "reasons": ", ".join(REASONS.get(r, r) for r in praise.reasons),
        "place": _place(praise),
        "is_late": is_late,
        "when": _when(praise, is_late=is_late),
    }


def _detail(chosen: Chosen, member: Member, now: datetime) -> dict[str, Any]:
    shown, praise = chosen.shown, chosen.shown.praise
    possible = possible_acts(praise)
    allowed = [act for act in possible if may(member, role_for(act), praise.terminal)]
    sign = None if shown.sign is None else sign_of(shown.sign)
    return {
        **_row(shown, now),
        "words": [] if shown.comment is None else _words(praise, shown.comment),
        "sign": sign,
        "sign_words": "" if sign is None else f"{sign.shape} {sign.colour}{f' {sign.series}' * (sign.series > 1)}",
        "driver_declined": shown.driver_declined,
        "language": chosen.language,
        "language_words": _LANGUAGES[chosen.language],
        "timeline": [_moment(m, praise.zone) for m in chosen.timeline],
        "can": {
            "approve": Act.APPROVE in allowed and shown.comment is not None,
            "dispute": Act.DISPUTE in allowed,
            "driver": praise.driver is not None and may(member, role_for(Act.PASS_ON), praise.terminal),
        },
        "buttons": [(act.value, _BUTTONS[act]) for act in allowed if act in _BUTTONS],
        "not_allowed": _who_may([act for act in possible if act not in allowed]),
    }


def _who_may(missing: Sequence[Act]) -> str:
    if not missing:
        return ""
    roles = " or ".join(sorted({role_for(act).name.lower() for act in missing}))
    return f"More can be done by somebody with the role {roles} at this terminal."


def _pieces(praise: Praise, comment: Comment | None) -> tuple[Piece, ...]:
    if comment is None:
        return ()
    return scrub(comment.text, praise.country, comment.names, comment.masked.union(praise.masks))


def _words(praise: Praise, comment: Comment) -> list[Any]:
    return list(words(comment.text, praise.country, comment.names, comment.masked.union(praise.masks)))


def _place(praise: Praise) -> str:
    return " · ".join(part for part in (praise.route, praise.service_point, praise.method.replace("_", " ")) if part)


def _when(praise: Praise, *, is_late: bool) -> str:
    if praise.passed_on_at is not None:
        return f"Passed on {_local(praise.passed_on_at, praise.zone)}"
    by = _local(praise.pass_on_by, praise.zone)
    return f"Late, was due {by}" if is_late else f"Due {by}"


def _moment(moment: Moment, zone: str) -> dict[str, Any]:
    words_ = _EVENTS.get(moment.what, moment.what)
    return {"when": _local(moment.at, zone), "words": words_, "member": moment.member, "note": moment.note}


def _local(at: datetime, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).strftime("%-d %b %H:%M")
