"""Pages that are about no delivery: unsubscribing, and "did we send this?". No script; facts in, bytes out."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from services.chassis.web import inline_assets, recipient_css
from services.survey.languages import choose_language, offered_languages
from services.survey.recipient.page_models import Site
from services.survey.recipient.rendering import page_environment
from services.survey.recipient.wording import load_wordings

_PAGES: Final = Path(__file__).parent / "pages"


class SentState(StrEnum):
    """What the page "did we send this?" says, by its key in the catalogues."""

    ASK = "sent"
    OURS = "sent.yes"
    NOT_CONFIRMED = "sent.no"
    TOO_OFTEN = "sent.often"
    AWAY = "sent.away"


class PublicPages:
    """Renders such pages in every language. Build one at start; `headers` go with each page."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._wordings = load_wordings()
        assets = inline_assets(
            "".join([recipient_css(), *((_PAGES / f).read_text("utf-8") for f in ("survey.css", "public.css"))]), ""
        )
        self.headers: Mapping[str, str] = assets.headers
        environment = page_environment()
        environment.globals.update(assets=assets, site=site, faces_sprite="")
        self._templates = {name: environment.get_template(f"{name}.html") for name in ("unsubscribe", "sent")}

    def render_unsubscribe(self, language: str, *, brand: str, done: bool) -> bytes:
        """The question whether all questions shall stop, or that they have."""
        return self._render("unsubscribe", language, brand=brand, done=done)

    def render_sent(self, language: str, state: SentState, *, host: str) -> bytes:
        """The form, above it what was found; `host` is where links of ours lead."""
        return self._render("sent", language, brand=self._site.carrier, state=state.value, host=host)

    def _render(self, template: str, language: str, **values: object) -> bytes:
        words = self._wordings[choose_language(language).language]
        text = self._templates[template].render(
            t=words,
            lang=words.language,
            languages=offered_languages(words.language),
            brand_note=words("demo") if self._site.demo else None,
            page=None,
            **values,
        )
        return text.encode()
