"""Numbers as people read them: by the rules of a language, with a no-break space before per cent. Pure."""

from babel.dates import format_date
from babel.numbers import format_decimal

from services.aggregator.calendar import first_day
from services.aggregator.statistics import Share

EXACT_FROM = 100
"""One decimal from so many answers, none below."""
_NARROW = "\u202f"
_SPACE = "\u00a0"


def whole(number: int, language: str) -> str:
    """A count: `12 418` in Swedish, `12,418` in English."""
    return str(format_decimal(number, locale=language)).replace(_NARROW, _SPACE)


def decimal(value: float, digits: int, language: str) -> str:
    """A number with so many decimals."""
    pattern = "#,##0" + ("." + "0" * digits if digits else "")
    return str(format_decimal(value, format=pattern, locale=language)).replace(_NARROW, _SPACE)


def points(value: float, n: int, language: str) -> str:
    """A share in per cent without the sign: `87,9` of 100 answers and more, `88` of fewer."""
    return decimal(100 * value, 1 if n >= EXACT_FROM else 0, language)


def percent(value: float, n: int, language: str) -> str:
    """A share in per cent: `87,9 %`."""
    return f"{points(value, n, language)}{_SPACE}%"


def interval(share: Share, language: str) -> str:
    """The ends of a share's interval: `87,3–88,5`."""
    return f"{points(share.low, share.n, language)}–{points(share.high, share.n, language)}"


def month_in_words(number: int, language: str, form: str = "LLLL y") -> str:
    """A month since 1970-01 by its name, in a form of CLDR."""
    return str(format_date(first_day(number), form, locale=language))
