"""How the public page says texts, numbers and days in one language. Pure but for reading the catalogue of words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Final

from babel.dates import format_date, format_datetime

from services.aggregator.figures import words
from services.aggregator.quality.figures import Index
from services.aggregator.statistics import Share
from services.chassis.catalogues import read_catalogue

LANGUAGE_NAMES: Final = {"sv": "Svenska", "en": "English"}
_CATALOGUES: Final = Path(__file__).parent / "locales"


@cache
def words_of(language: str) -> Mapping[str, str]:
    """The page's words in a language."""
    return read_catalogue(_CATALOGUES, language, "quality")


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure as the page writes it, with how sure it is and of how many answers."""

    value: str
    sure: str
    n: str = ""


@dataclass(frozen=True, slots=True)
class Speech:
    """Says things in a language."""

    language: str

    def __call__(self, key: str, **values: object) -> str:
        """A text with its places filled."""
        return words_of(self.language)[key].format(**values)

    def whole(self, number: int) -> str:
        """A count."""
        return words.whole(number, self.language)

    def decimal(self, value: float, digits: int) -> str:
        """A number with so many decimals."""
        return words.decimal(value, digits, self.language)

    def points(self, value: float, n: int) -> str:
        """A share of so many answers, in per cent without the sign."""
        return words.points(value, n, self.language)

    def percent(self, value: float, n: int) -> str:
        """A share of so many answers, in per cent."""
        return words.percent(value, n, self.language)

    def share(self, share: Share | None) -> Shown | None:
        """A share with its interval and its answers."""
        if share is None:
            return None
        return Shown(self.points(share.share, share.n), words.interval(share, self.language), self.whole(share.n))

    def index(self, index: Index | None) -> Shown | None:
        """An index with its interval."""
        if index is None:
            return None
        value, low, high = (self.decimal(x, 1) for x in (index.value, index.low, index.high))
        return Shown(value, f"{low}–{high}")

    def method(self, method: str) -> str:
        """A way of delivery by its name."""
        return words_of(self.language).get(f"method.{method}", method.replace("_", " "))

    def month(self, number: int, form: str = "LLLL y") -> str:
        """A month since 1970-01 by its name, in a form of CLDR."""
        return words.month_in_words(number, self.language, form)

    def day(self, at: date, form: str = "d MMMM") -> str:
        """A day without its year, in a form of CLDR."""
        return str(format_date(at, form, locale=self.language))

    def moment(self, at: datetime) -> str:
        """A day with its time."""
        return str(format_datetime(at, "d MMMM y, HH:mm", locale=self.language)) + " UTC"
