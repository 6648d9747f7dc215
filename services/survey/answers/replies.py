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
_OUT_OF = r"\s*(?:/|av|af|of|von|out of)\s*5"
_ENDING = r":(?:[ae]n?s?|n|nen|sen|ss[aä]|st[aä]|ll[aäe]|tt[aä]|een)\b"
"""Of an ordinal: "5:e gången", "2:nen"; what follows a score after a colon, "4:bra", is no such ending."""
_SCORE = re.compile(
    rf"(?P<label>(?:{_LABELS})\b\s*+(?:är|er|is|ist|on)?\s*+[:=–-]?\s*+)?"
    rf"(?P<score>[1-5])(?P<grade>:an?\b)?(?P<of>{_OUT_OF})?(?!\w|[.,:/][0-9]|\s*[%°×€$£]|{_ENDING})",
    re.IGNORECASE,
)
"""In Swedish "5:a" is the grade; of the ordinals only the first two end so."""
_LOW = 2
"""A score up to this opens a case: where in doubt, none is read."""
_FULL = r"(?![0-9]{2,3}[ \t]*%|[0-9]+/(?:5|10|100)\b)"
_MORE = re.compile(
    rf"[ \t]*(?:[-–—](?!100[ \t]*%)|[-–—/⁄+]\s*{_FULL}|(?:av|af|of|von|out of|eller|el|or|oder|tai)\s+)[0-9]",
    re.IGNORECASE,
)
"""Another number with which the first is no score: "1-2 dagar", "1 av 2 paket", "4 eller 5"."""
_UP_TO = re.compile(rf"[ \t]*(?:&|(?:till|til|to|bis|och|og|and|und|ja)\b)[ \t]*{_FULL}([0-9]{{1,9}})", re.IGNORECASE)
"""So too, but only upwards: "1 till 2 dagar" counts, "5 och 1 dag tidigare än väntat" does not."""
_SPACED_DASH = re.compile(rf"[ \t]+[-–—][ \t]+{_FULL}([0-9]{{1,9}})")
_FRACTION = re.compile(
    r"[ \t]*(?:(?:och|og|and|und|ja|&|\+)[ \t]*+)?(?:[0-9]+⁄|(?:1/[2-4]|[23]/[34])(?!\d))", re.IGNORECASE
)
"""Behind the first one: "1 ½ dag" (NFKC makes it "1 1⁄2"), "2 og 1/2 time"."""
_THOUSANDS = re.compile(
    r" (?:000\b|[0-9]{3} ?(?:kr|kronor|kroner|sek|nok|dkk|euro?|tack|takk|tak|kiitos|thanks|danke)\b)", re.IGNORECASE
)
_MAYBE_THOUSANDS = re.compile(r" [0-9]{3}\b(?! ?%)")
_DATES = re.compile(r"[ \t]*[-–—](?:[0-9]|[ \t]*[0-9]{1,2}/[0-9])")
"""Behind "1/5": "1/5-2026", "1/5 - 3/5"."""
_CAME = (
    "kom|kommer|saknas|saknades|fattas|fattades|mangler|manglede|manglet|kam|kamen|fehlt|fehlte|fehlen|fehlten|puuttui"
    "|puuttuu|saapui|tuli|arrived|came|missing|is missing"
)
_SHARE = re.compile(rf"[ \t]+(?:{_CAME}|var|är|were|was)\b", re.IGNORECASE)
"""Behind "1 av 5", on the same line: so many of five."""
_DAY = re.compile(rf"[ \t]+(?:{_CAME}|(?:var|är)[ \t]+(?:jag|vi|ni|han|hon|det|den|paketet))\b", re.IGNORECASE)
"""Behind "1/5": the first of May, or so many of five; "2/5 var inte nöjd" is a score."""
_UNITS = (
    "min|minut|minuter|minuters|minutter|minuuttia|minute|minutes|minuten|tim|timme|timmar|timmars|timer|tunti"
    "|tuntia|hour|hours|stunde|stunden|h|dag|dagar|dagars|dager|dage|dagen|päivä|päivää|day|days|tag|tage|vecka|veckor"
    "|veckors|uke|uker|uge|uger|viikko|viikkoa|week|weeks|woche|wochen|månad|månader|måned|måneder|kuukausi|kuukautta"
    "|month|months|monat|monate|år|vuosi|vuotta|year|years|jahr|jahre|paket|kolli|kollin|pakker|pakka|pakken"
    "|pakettia|parcels|packages|pakete|gånger|ganger|gange|kertaa|times|mal|x(?= *[0-9a-zåäö])|st|stk|kpl|kr"
    "|kronor|kroner|euro|eur|uhr|varor|varer|items|artikel|artiklar|tuotetta|lådor|kartonger"
    "|esker|boxes|laatikkoa|personer|people"
)
_ONES = "time|pakke|paketti|parcel|package|vara|vare|item|tuote|låda|kartong|eske|box|laatikko"
_RANKED = (
    "klass|klassen|a klass|klasse|luokka|luokan|luokkaa|etage|etasje|sal|stock|stockwerk|kerros|kerroksen|våning"
    "|våningen|gang|gangen|gång|gången|a gången|e gången|kerta|kerran|forsøk|forsøg|försök|försöket|versuch|yritys"
    "|januari|januar|january|februari|februar|february|mars|marts|märz|march|april|maj|mai|may(?! (?:be|i|you|we) )"
    "|juni|june|juli|july|augusti|august|september|oktober|october|november|december|desember|dezember|feb|apr|aug|sept|sep|okt|oct|nov"
    "|dec|des|dez|[a-z]+kuuta"
)
_COUNTED = re.compile(rf"(?:[ \t]*+|-)(?:{_UNITS})\b|[ \t]*+[.-]?[ \t]*+(?:{_RANKED})\b(?!-[^\W\d])", re.IGNORECASE)
"""What follows a number that counts something, or says which one: "5 minuter sen" and "1. Klasse" are no scores."""
_COUNTED_ONE = re.compile(rf"(?:[ \t]*|-)(?:{_ONES})\b")
"""No number over 1 counts a singular, though some write "2 box saknas": "3 Kartong trasig" is a score and words."""
_POINTS = re.compile(r"1\s*[.)]\s.*?\s2\s*[.)]\s", re.DOTALL)
"""A list: "1. Snabbt 2. Trevlig förare"."""
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
    if found is None or _is_no_score(plain, found) or _POINTS.match(plain):
        return Reply(comment=_comment(text))
    return Reply(score=int(found["score"]), comment=_comment(plain[found.end() :].lstrip(" \t\r\n.,:;!-–)")))


def _is_no_score(plain: str, found: re.Match[str]) -> bool:
    """Whether a number that stands first counts something, or goes on into another one."""
    score, end = int(found["score"]), found.end()
    words = plain.casefold() if score == 1 else plain
    if _COUNTED.match(plain, end) or (score <= _LOW and _COUNTED_ONE.match(words, end)):
        return True
    if found["grade"] and score <= _LOW and not (found["label"] and not re.match(r"\s*\w", plain[end:])):
        return True
    if found["of"]:
        low, share = score <= _LOW and not found["label"], _DAY if "/" in found["of"] else _SHARE
        return low and bool(_DATES.match(plain, end) or share.match(plain, end))
    return _goes_on(plain, end, score)


def _goes_on(plain: str, end: int, score: int) -> bool:
    if score <= _LOW and _MAYBE_THOUSANDS.match(plain, end):
        return True
    if _THOUSANDS.match(plain, end) or _FRACTION.match(plain, end):
        return True
    upwards = _UP_TO.match(plain, end) or _SPACED_DASH.match(plain, end)
    if upwards and int(upwards[1]) < score:
        return False
    return upwards is not None or _MORE.match(plain, end) is not None


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
