"""Words and dates of the recipient's pages, from gettext catalogues read once at start."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from markupsafe import Markup, escape

from services.chassis.catalogues import read_catalogue

LANGUAGES: Final = {"sv": "Svenska", "en": "English"}
FALLBACK_LANGUAGE: Final = "en"
_LOCALES: Final = Path(__file__).parent / "locales"
_WEEKDAY_IS_CLEAR_FOR_DAYS: Final = 6
_CLDR_LOCALES: Final = {"sv": "sv_SE", "en": "en_GB"}
_BREAKABLE: Final = Markup("is<wbr>satisfied")


class MissingWordsError(RuntimeError):
    """A page asks for words that the catalogue does not have."""


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of one language. Calling it escapes every value, so a shop's name cannot become markup."""

    language: str
    words: Mapping[str, Markup]

    def __call__(self, key: str, **values: object) -> Markup:
        """Return the words of `key` with its placeholders filled."""
        try:
            text = self.words[key]
        except KeyError:
            raise MissingWordsError(f"{self.language} has no words for {key!r}") from None
        return text.format(**values) if values else text

    def face_label(self, score: int) -> Markup:
        """Return the words under a face, with a place to break what a 320 px screen cannot hold."""
        return self(f"face.{score}").replace("issatisfied", _BREAKABLE)

    def moment(self, at: datetime, zone: str, now: datetime) -> str:
        """Return "tisdag 17:42" in the delivery's zone, with the date when the weekday alone is unclear."""
        tz = ZoneInfo(zone)
        local = at.astimezone(tz)
        days = abs((now.astimezone(tz).date() - local.date()).days)
        pattern = "EEEE HH:mm" if days < _WEEKDAY_IS_CLEAR_FOR_DAYS else "EEEE d MMMM HH:mm"
        return format_datetime(local, pattern, locale=_CLDR_LOCALES[self.language])

    def day(self, at: datetime, zone: str) -> str:
        """Return "27 oktober" in the delivery's zone."""
        return format_date(at.astimezone(ZoneInfo(zone)), "d MMMM", locale=_CLDR_LOCALES[self.language])


def load_wordings() -> dict[str, Wording]:
    """Read every language once; call where the service is put together."""
    return {
        language: Wording(
            language, {key: escape(text) for key, text in read_catalogue(_LOCALES, language, "survey").items()}
        )
        for language in LANGUAGES
    }


def choose_language(*wanted: str | None) -> str:
    """Return the first wanted language that pages exist in ("sv-SE" counts as "sv"), else English."""
    for tag in wanted:
        language = (tag or "").replace("_", "-").split("-")[0].lower()
        if language in LANGUAGES:
            return language
    return FALLBACK_LANGUAGE
