"""What a person means who answers a request by text message. Pure.

A sender of letters cannot take replies, a number can; operators and people write STOP in many ways (D12).
"""

import re
import unicodedata
from dataclasses import dataclass

import phonenumbers

from services.survey.answers.responses import LONGEST_COMMENT, clean_comment

_STOPS = re.compile(
    "stop|stopp|stoppa|stoppen|stopall|unsubscribe|optout"
    "|sluta|avregistrera|avanmäl|avmeld|meldav|afmeld|frameld|lopeta|abmelden|abbestellen"
)
"""Words that mean it also with a few words behind them."""
_STOPS_ALONE = re.compile(
    "avbryt|avsluta|inga fler|avslutt|slutt|meld av|meld fra|afslut|peruuta|poista|cancel|end|quit|opt out|no more|ende"
)
_MOST_WORDS_OF_A_STOP = 4
_LABELS = (
    "betyg|mitt betyg|betyget|poäng|svar|karakter|vurdering|terningkast|karakteren|bedømmelse"
    "|arvosana|score|rating|grade|answer|note|bewertung|antwort"
)
_OUT_OF = r"(?:\s*(?:/|av|af|of|von|out of)\s*5)?"
_SCORE = re.compile(
    rf"(?:(?:{_LABELS})\b\s*(?:är|er|is|ist|on)?\s*[:=–-]?\s*)?([1-5]){_OUT_OF}(?![\w]|[.,:/][0-9])", re.IGNORECASE
)
_UNITS = re.compile(
    r"\s*(?:min|minut|minuter|minutter|minuuttia|minute|minutes|minuten|tim|timme|timmar|time|timer|tunti|tuntia|hour"
    r"|hours|stunde|stunden|h|dag|dagar|dager|dage|dagen|päivä|päivää|day|days|tag|tage|vecka|veckor|uke|uker|uge|uger"
    r"|viikko|viikkoa|week|weeks|woche|wochen|paket|kolli|kollin|pakke|pakker|pakka|pakken|paketti|pakettia|parcel"
    r"|parcels|package|packages|pakete|gånger|ganger|gange|kertaa|times|mal|st|stk|kpl|kr|kronor|kroner|euro|eur)\b",
    re.IGNORECASE,
)
"""What follows a number that counts something: "5 minuter sen" is no score."""
_PHONE_MARKS = str.maketrans("", "", " -./()\u00a0\u2011\u2013")
_PHONE = re.compile(r"\+[1-9][0-9]{5,14}", re.ASCII)
_KEYCAPS = str.maketrans("", "", "\ufe0f\u20e3")


@dataclass(frozen=True, slots=True)
class Reply:
    """What was meant.

    Attributes:
        stop: the person wants no more requests; nothing else is read from such a text.
        score: 1 to 5.
        comment: what else was written, cleaned as on the page.
    """

    stop: bool = False
    score: int | None = None
    comment: str | None = None


def read_reply(text: str) -> Reply:
    """What a text message means; what is neither a stop nor a score is a comment."""
    if _is_stop(text):
        return Reply(stop=True)
    plain = unicodedata.normalize("NFKC", text.translate(_KEYCAPS)).strip()
    found = _SCORE.match(plain)
    if found is None or _UNITS.match(plain, found.end()):
        return Reply(comment=_comment(text))
    return Reply(score=int(found[1]), comment=_comment(plain[found.end() :].lstrip(" \t\r\n.,:;!-–)")))


def _is_stop(text: str) -> bool:
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
    if not words or len(words) > _MOST_WORDS_OF_A_STOP:
        return False
    return _STOPS.fullmatch(words[0]) is not None or _STOPS_ALONE.fullmatch(" ".join(words)) is not None


def _comment(text: str) -> str | None:
    cleaned = clean_comment(text[:LONGEST_COMMENT])
    return cleaned if cleaned and any(c.isalnum() or unicodedata.category(c) == "So" for c in cleaned) else None


def person_key(sender: str, country: str = "") -> str | None:
    """The sender's number as the notifier spells it for the person's pseudonym; None for what is no such number.

    Gateways write +46…, 0046… or 46…; a number without its country's code is one of `country`, where that is
    known. A name cannot be told whose it is.
    """
    number = sender.strip().replace("(0)", "").translate(_PHONE_MARKS)
    if country and (national := _national(number, country)) is not None:
        return f"sms:{national}"
    if number.startswith("00"):
        number = f"+{number[2:]}"
    elif not number.startswith("+"):
        number = f"+{number}"
    return f"sms:{number}" if _PHONE.fullmatch(number) else None


def _national(number: str, country: str) -> str | None:
    """A number that is dialled so within its country, in international form."""
    trunk = phonenumbers.ndd_prefix_for_region(country, strip_non_digits=True)
    if number.startswith(("+", "00")) or (trunk and not number.startswith(trunk)):
        return None
    try:
        parsed = phonenumbers.parse(number, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
