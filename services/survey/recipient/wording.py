"""Words and dates of the recipient's pages, from gettext catalogues read once at start."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_skeleton, format_time
from markupsafe import Markup, escape

from services.chassis.catalogues import Catalogue, read_plural_catalogue
from services.survey.languages import LANGUAGES

_LOCALES: Final = Path(__file__).parent / "locales"
_WEEKDAY_IS_CLEAR_FOR_DAYS: Final = 6
_CLDR_LOCALES: Final = {
    "sv": "sv_SE",
    "nb": "nb_NO",
    "nn": "nn_NO",
    "da": "da_DK",
    "fi": "fi_FI",
    "en": "en_GB",
    "de": "de_DE",
}
_AFTER_WEEKDAY: Final = {"de": ", "}
_LONG_WORDS: Final = ("is|satisfied", "mis|fornøyd", "util|freds", "tyyty|mätön", "tyyty|väinen", "un|zufrieden")
"""Words under the faces that a 320 px screen cannot hold, with the place to break them."""


class MissingWordsError(RuntimeError):
    """A page asks for words that the catalogue does not have."""


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of one language. Calling it escapes every value, so a shop's name cannot become markup."""

    language: str
    words: Mapping[str, Markup]
    plurals: Mapping[str, tuple[Markup, ...]]
    plural_form: Callable[[int], int]

    def __call__(self, key: str, **values: object) -> Markup:
        """The words of `key` with its placeholders filled."""
        try:
            text = self.words[key]
        except KeyError:
            raise MissingWordsError(f"{self.language} has no words for {key!r}") from None
        return text.format(**values) if values else text

    def in_days(self, key: str, days: int, **values: object) -> Markup:
        """The words of `key` in the form that goes with a number of days."""
        try:
            text = self.plurals[key][self.plural_form(days)]
        except LookupError:
            raise MissingWordsError(f"{self.language} has no words for {days} of {key!r}") from None
        return text.format(days=days, **values)

    def face_label(self, score: int) -> Markup:
        """The words under a face, with a place to break what a 320 px screen cannot hold."""
        label = str(self(f"face.{score}"))
        for marked in _LONG_WORDS:
            start, end = marked.split("|")
            for first in (start, start.capitalize()):
                label = label.replace(first + end, f"{first}\N{SOFT HYPHEN}{end}")
        return Markup(label)  # noqa: S704 escaped when the catalogue was read

    def moment(self, at: datetime, zone: str, now: datetime) -> str:
        """Return "tisdag 17:42" in the delivery's zone, with the date when the weekday alone is unclear."""
        tz = ZoneInfo(zone)
        local = at.astimezone(tz)
        days = abs((now.astimezone(tz).date() - local.date()).days)
        locale = _CLDR_LOCALES[self.language]
        weekday = _weekday(local.date(), locale)
        clock = _clock(local.time().replace(second=0, microsecond=0), locale)
        if days < _WEEKDAY_IS_CLEAR_FOR_DAYS:
            return f"{weekday} {clock}"
        return f"{weekday}{_AFTER_WEEKDAY.get(self.language, ' ')}{self._day(local)} {clock}"

    def day(self, at: datetime, zone: str) -> str:
        """Return "27 oktober" in the delivery's zone."""
        return self._day(at.astimezone(ZoneInfo(zone)))

    def _day(self, local: datetime) -> str:
        return _date(local.date(), _CLDR_LOCALES[self.language])


# Babel looks up patterns anew for each text, which takes longer than all the rest of a page.


@lru_cache(maxsize=4096)
def _weekday(day: date, locale: str) -> str:
    return format_date(day, "EEEE", locale=locale)


@lru_cache(maxsize=4096)
def _date(day: date, locale: str) -> str:
    return str(format_skeleton("MMMMd", day, locale=locale))


@lru_cache(maxsize=4096)
def _clock(at: time, locale: str) -> str:
    return format_time(at, "short", locale=locale)


def load_wordings() -> dict[str, Wording]:
    """Read every language once; call where the service is put together."""
    return {code: _wording(code, read_plural_catalogue(_LOCALES, code, "survey")) for code in LANGUAGES}


def _wording(language: str, catalogue: Catalogue) -> Wording:
    return Wording(
        language,
        {key: escape(text) for key, text in catalogue.texts.items()},
        {key: tuple(map(escape, forms)) for key, forms in catalogue.plurals.items()},
        catalogue.plural_form,
    )
