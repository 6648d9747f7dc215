"""The recipient's pages as pure functions: facts in, bytes out, no clock and no database."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment

from services.chassis.web import SCORES, face, faces_sprite, inline_assets, page_templates, recipient_css
from services.survey.answers.preferences import CHANNELS, FREQUENCIES
from services.survey.languages import choose_language, offered_languages
from services.survey.recipient.moulds import Moulds
from services.survey.recipient.page_models import (
    ContestedPage,
    DonePage,
    LockedPage,
    QuestionPage,
    RecipientPage,
    SavedPage,
    Site,
)
from services.survey.recipient.phrasing import ENDS, method_words, parcel_words, rated_words, reason_words, tone
from services.survey.recipient.wording import Wording, load_wordings

_PAGES: Final = Path(__file__).parent / "pages"
_TEMPLATES: Final = ("question", "saved", "done", "contested", "locked", "notice")
_TOLD_AS_WORDS: Final = ("occurred_at", "zone", "now", "editable_until")
"""Facts that templates get as ready words and must not use themselves."""
_TOLD_AS_THEY_ARE: Final = ("token", "nonce", "merchant_name", "place")
_STATE_OF: Final[Mapping[type[RecipientPage], Callable[[Any], tuple[Any, ...]]]] = {
    kind: attrgetter(*(f.name for f in fields(kind) if f.name not in {*_TOLD_AS_WORDS, *_TOLD_AS_THEY_ARE}))
    for kind in (QuestionPage, SavedPage, DonePage, ContestedPage, LockedPage)
}


class SurveyPages:
    """Renders every recipient page. Build one at start; `headers` go with each page."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._wordings = load_wordings()
        self._moulds = Moulds()
        assets = inline_assets(
            recipient_css() + (_PAGES / "survey.css").read_text("utf-8"),
            (_PAGES / "survey.js").read_text("utf-8"),
        )
        self.headers = assets.headers
        environment = page_environment()
        environment.globals.update(
            assets=assets,
            site=site,
            faces_sprite=faces_sprite(),
            scores=SCORES,
            ends=ENDS,
            faces={size: {score: face(score, size) for score in SCORES} for size in (40, 62)},
        )
        self._templates = {name: environment.get_template(f"{name}.html") for name in _TEMPLATES}

    def render_question(self, page: QuestionPage) -> bytes:
        """The question with its five faces."""
        return self._about_delivery("question", page, chosen=page.preselected, failed=False)

    def render_saved(self, page: SavedPage) -> bytes:
        """The page after the tap: the score in words, a row to change it, reasons and a comment."""
        return self._saved(page, failed=False)

    def render_save_failed(self, page: QuestionPage | SavedPage | DonePage) -> bytes:
        """The same page with the choice kept and a plain word that it is not saved yet.

        Give the nonce that came with the failed POST, so that trying again is the same attempt.
        """
        if isinstance(page, SavedPage):
            return self._saved(page, failed=True)
        if isinstance(page, DonePage):
            return self._done(page, failed=True)
        return self._about_delivery("question", page, chosen=page.preselected, failed=True)

    def render_done(self, page: DonePage) -> bytes:
        """The page after "Skicka"."""
        return self._done(page, failed=False)

    def _done(self, page: DonePage, *, failed: bool) -> bytes:
        return self._about_delivery(
            "done",
            page,
            failed=failed,
            chosen_reasons=self._reasons(page, page.reasons),
            frequencies=FREQUENCIES,
            channels=CHANNELS,
        )

    def render_contested(self, page: ContestedPage) -> bytes:
        """The page after "I did not get the parcel"."""
        return self._about_delivery("contested", page)

    def render_locked(self, page: LockedPage) -> bytes:
        """The page of an answer that can no longer change."""
        return self._about_delivery("locked", page)

    def render_unknown(self, language: str) -> bytes:
        """The one page for unknown, expired, malformed and erased links; it tells nothing."""
        return self._notice("unknown", language)

    def render_not_ready(self, language: str) -> bytes:
        """The words "just a moment", for a link newer than this server knows; with script it reloads after 2 s.

        A page that reloads by its own markup would take the reader's place away from people who read slowly
        (WCAG 2.2.1), so that without script there is a link.
        """
        return self._notice("not_ready", language, reload_seconds=2)

    def render_away(self, language: str) -> bytes:
        """The page for a look that cannot be met now; it says nothing of an answer, as none was given."""
        return self._notice("away", language)

    def render_unavailable(self, language: str) -> bytes:
        """The page for a POST that was not saved when the delivery cannot be read either."""
        return self._notice("unavailable", language)

    def _saved(self, page: SavedPage, *, failed: bool) -> bytes:
        return self._about_delivery(
            "saved",
            page,
            chosen=page.score,
            tone=tone(page.score),
            chips=self._reasons(page, page.definition.reasons_for(page.score)),
            failed=failed,
        )

    def _reasons(self, page: SavedPage | DonePage, reasons: Sequence[str]) -> dict[str, str]:
        return {**reason_words(self._words(page.language), page.definition, page.score, reasons)}

    def _about_delivery(self, template: str, page: RecipientPage, **more: Any) -> bytes:
        words = self._words(page.language)
        when = words.moment(page.occurred_at, page.zone, page.now)
        until = words.day(page.editable_until, page.zone) if isinstance(page, DonePage) else ""
        if more.get("failed") or _is_one_persons(page):
            return self._delivery(template, page, when, until, **more).encode()
        facts = {"when": when, "until": until}
        facts |= {name: fact for name in _TOLD_AS_THEY_ARE if (fact := getattr(page, name))}
        return self._moulds.fill(
            (template, *facts, *_state(page)),
            facts,
            lambda marks: self._delivery(template, _with_marks(page, marks), marks["when"], marks["until"], **more),
        )

    def _delivery(self, template: str, page: RecipientPage, when: str, until: str, **more: Any) -> str:
        words = self._words(page.language)
        return self._render(
            template,
            words,
            page=page,
            brand=page.carrier,
            parcel_words=parcel_words(words, page),
            method_words=method_words(words, page, when),
            rated_words=rated_words(words, page),
            question=words(f"question.{page.definition.occasion}"),
            editable_until=until,
            **more,
        )

    def _notice(self, kind: str, language: str, *, reload_seconds: int | None = None) -> bytes:
        words = self._words(language)
        return self._render(
            "notice", words, kind=kind, brand=self._site.carrier, reload_seconds=reload_seconds, page=None
        ).encode()

    def _words(self, language: str) -> Wording:
        return self._wordings[choose_language(language).language]

    def _render(self, template: str, words: Wording, **values: Any) -> str:
        brand_note = words("demo") if self._site.demo else None
        return self._templates[template].render(
            t=words,
            lang=words.language,
            languages=offered_languages(words.language),
            brand_note=brand_note,
            **values,
        )


def _is_one_persons(page: RecipientPage) -> bool:
    """Whether the page has what no second page has: a case, or a review link."""
    return isinstance(page, DonePage | ContestedPage) and (
        page.case is not None or (isinstance(page, DonePage) and page.review is not None)
    )


def _state(page: RecipientPage) -> tuple[Hashable, ...]:
    """All that a page depends on, other than facts that are told as they are or as words."""
    return tuple(tuple(value.items()) if isinstance(value, Mapping) else value for value in _STATE_OF[type(page)](page))


def _with_marks(page: RecipientPage, marks: Mapping[str, str]) -> RecipientPage:
    """The page with marks for facts; what templates must not use is gone, so that using it fails."""
    unused = {f.name: None for f in fields(page) if f.name in _TOLD_AS_WORDS}
    marked = {name: mark for name, mark in marks.items() if name in _TOLD_AS_THEY_ARE}
    return replace(page, **{**unused, **marked})  # type: ignore[arg-type]


def page_environment() -> Environment:
    """The templates of the recipient's pages; what they share is for the caller to add."""
    return page_templates(_PAGES)
