"""Every state of the recipient's pages with made-up facts, for the tests that look at all of them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.survey.definition_files import load_definitions
from services.survey.recipient.page_models import (
    CaseNotice,
    Contact,
    ContestedPage,
    DonePage,
    HumanRoute,
    LockedPage,
    Preferences,
    QuestionPage,
    ReviewLink,
    SavedPage,
    Site,
)
from services.survey.recipient.rendering import SurveyPages

DEFINITIONS = {d.occasion.value: d for d in load_definitions()}
TOKEN = "Qk7rW2pXz9Lm4Tn8Vb3Yc6"
DELIVERED = datetime(2026, 10, 13, 15, 42, tzinfo=UTC)  # a Tuesday, 17:42 in Stockholm
SITE = Site("Nordposten Demo", HumanRoute("08-465 004 10", "8–18", "hjalp@nordposten.example", "/privacy"), demo=True)
QUESTION = QuestionPage(
    token=TOKEN,
    nonce="page-nonce",
    language="sv",
    definition=DEFINITIONS["home"],
    carrier="Nordposten Demo",
    merchant_name="Fjällbod",
    method="home_day",
    occurred_at=DELIVERED,
    zone="Europe/Stockholm",
    now=DELIVERED + timedelta(hours=1),
)
FACTS = {name: getattr(QUESTION, name) for name in QUESTION.__dataclass_fields__ if name != "preselected"}
SAVED = SavedPage(
    **FACTS, score=2, revision=1, follow_ups=DEFINITIONS["home"].follow_ups, followed={"courtesy": 4}, contact=Contact()
)
DONE = DonePage(
    **FACTS,
    score=2,
    revision=2,
    editable_until=DELIVERED + timedelta(days=14),
    reasons=("on_time",),
    comment_saved=True,
    case=CaseNotice("K-20417", "Årsta terminal", DELIVERED + timedelta(days=1), contact_promised=True),
    preferences=Preferences("quarterly", "sms"),
    review=ReviewLink("Omdömestorget (demo)", "https://review.example/nordposten"),
)
CONTESTED = ContestedPage(**FACTS, case=DONE.case, can_withdraw=True, wish_saved=True)
LOCKED = LockedPage(**FACTS, score=4)

WISH = Contact(wanted=True, name_draft="Elin Sandahl", address_draft="elin@mottagare.example")

State = Callable[[SurveyPages, str], bytes]
STATES: dict[str, State] = {
    "question": lambda p, code: p.render_question(replace(QUESTION, language=code)),
    "preselected": lambda p, code: p.render_question(replace(QUESTION, language=code, preselected=4)),
    "question not saved": lambda p, code: p.render_save_failed(replace(QUESTION, language=code, preselected=4)),
    "saved low": lambda p, code: p.render_saved(replace(SAVED, language=code, reasons=("condition",))),
    "saved middle": lambda p, code: p.render_saved(
        replace(SAVED, language=code, score=3, comment_saved=True, contact=Contact(wanted=True, saved=True))
    ),
    "saved high": lambda p, code: p.render_saved(replace(SAVED, language=code, score=5, followed={})),
    "saved, details not saved": lambda p, code: p.render_save_failed(
        replace(SAVED, language=code, comment_draft="Kvar", contact=WISH)
    ),
    "saved, nobody to reach": lambda p, code: p.render_save_failed(
        replace(SAVED, language=code, contact=replace(WISH, address_draft="", unreachable=True))
    ),
    "done": lambda p, code: p.render_done(replace(DONE, language=code)),
    "done, preferences not kept": lambda p, code: p.render_save_failed(replace(DONE, language=code)),
    "done, preferences kept": lambda p, code: p.render_done(
        replace(DONE, language=code, case=None, preferences_saved=True)
    ),
    "contested": lambda p, code: p.render_contested(replace(CONTESTED, language=code)),
    "locked": lambda p, code: p.render_locked(replace(LOCKED, language=code)),
    "locked without answer": lambda p, code: p.render_locked(replace(LOCKED, language=code, score=None)),
    "unknown": lambda p, code: p.render_unknown(code),
    "not ready": lambda p, code: p.render_not_ready(code),
    "away": lambda p, code: p.render_away(code),
    "unavailable": lambda p, code: p.render_unavailable(code),
}


def touchpoint_question(occasion: str, language: str, **facts: object) -> QuestionPage:
    """The question of a touchpoint, with a pick-up point that has a name."""
    page = replace(QUESTION, language=language, definition=DEFINITIONS[occasion], place="Kiosken vid torget")
    return replace(page, **facts)  # type: ignore[arg-type]
