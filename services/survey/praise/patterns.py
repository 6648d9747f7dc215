"""What personal data look like in a comment, as patterns. Each finds the span to mask as its group `it`.

Whoever holds a link can write what they like: a pattern begins at the beginning of a word, or looks no further than so
many letters, so that no comment takes longer than its length. All look at a folded comment, where every space is plain.
"""

import re
from typing import Final

EMAIL: Final = re.compile(r"(?<![\w.+-])(?P<it>[\w.+-]+\s?(?:@|\(at\)|\[at\])\s?[\w-]+(?:\.[\w-]+)+)")

_DOMAINS: Final = "se|no|dk|fi|de|com|net|org|nu|eu|io|app|info|example"
WEB: Final = re.compile(
    rf"(?P<it>(?:https?://|www\.)\S*[\w/]|\b(?:[a-z0-9-]{{1,63}}\.){{1,8}}(?:{_DOMAINS})\b(?:/\S*\w)?)", re.IGNORECASE
)

PERSONAL_NUMBER: Final = re.compile(
    r"(?<!\w)(?P<it>\d{6}[-+A-FU-Ya-fu-y]\d{3}[0-9A-Ya-y]|\d{6,8}[-+ ]?\d{4}|\d{6} ?\d{5})(?!\w)"
)

_DATE: Final = r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})"
DATE: Final = re.compile(_DATE)
PHONE: Final = re.compile(r"(?<![\w])(?P<it>(?:\+|00)?(?:\(\d+\) ?)?\d(?:(?:[ ()./_*–—-]{0,2}|,)\d){6,16})(?!\w)")
"""A comma only without a space behind it: "24/11, 08-12" is a date and a time."""
_TIME: Final = r"(?:[01]?\d|2[0-4])(?:[-–.:][0-5]?\d)?(?![-– ]?\d)"
COMMA_PHONE: Final = re.compile(
    r"(?<!\w)(?P<it>(?=\+|00[1-9]|0\d\d[-/ ,]|0\d{3}[-/ ,](?! ?\d{4}(?!\d))|0\d[-/ ,] ?(?:\d{3}|\d\d \d)"
    r"|[2-9]\d(?:, \d\d \d\d \d\d| \d\d, \d\d \d\d| \d\d \d\d, \d\d)(?!\d))"
    rf"(?:\+|00)?(?:\(\d+\) ?)?\d(?:(?:[ ()./_*–—-]{{0,2}}|, ?(?!{_TIME}))\d){{6,16}})(?!\w)"
)
"""With a space too, where it begins as a number does: "070-123, 45 67", in pairs "22 12, 34 56", not "08-12, 14-16"."""
LONG_NUMBER: Final = re.compile(r"(?P<it>\d(?:[ _-]?\d){4,})")

_CODE_WORDS: Final = (
    r"(?:port|dörr|lås|nyckel|dør|port|lås|hoved|låse|nøkle|ovi|ala|Tür|Haustür|Schlüssel|door|gate|entry|key)?"
    r"(?:kod(?:en)?|kode(?:n)?|koodi|code|pin|PIN-?kod|pinkode)"
)
_BETWEEN: Final = r"(?:[\s:=]+(?:är|er|on|is|ist|var|was|til|till|to|the|døra|dörren|door|lautet|nr|no)){0,4}[\s:=]*"
CODE: Final = re.compile(rf"\b{_CODE_WORDS}{_BETWEEN}(?P<it>[#*]?\d{{3,8}}[A-Za-z]?[#*]?)(?!\w)", re.IGNORECASE)
CODE_FIRST: Final = re.compile(
    rf"(?<!\w)(?P<it>[#*]?\d{{3,8}}[#*]?)(?=\s+(?:(?:är|er|on|is|ist|i|på|til|till|the|as|som)\s+){{0,2}}{_CODE_WORDS}\b)",
    re.IGNORECASE,
)
KEYPAD: Final = re.compile(r"(?<![\w#*])(?P<it>[#*]\d{3,8}[#*]?|\d{3,8}[#*])")

_CAPITAL: Final = "[A-ZÅÄÖÆØÜÉ]"
_LETTERS: Final = "{0,40}"  # more than any name of a street has
_NUMBER: Final = r"\s+\d{1,4}(?:\s?[A-Za-z]\b)?(?:\s\d{1,3}\b)?"
_SURE_STREETS: Final = (
    "gatan|vägen|gränden?|stigen|torget|esplanaden|gaten|veien|vegen|gade|stræde|katu|kuja|polku|tie"
    "|straße|strasse|allee|gasse"
)
_OTHER_STREETS: Final = (
    "väg|gata|gate|vei|veg|vej|backen|bakken|plan|plads|plass|allén?|allé|kaj|ring|damm|ufer|weg|platz"
    r"|str\.|tori|ranta|rinne|raitti|tunet|toppen|haugen|svingen|løkka|liden|hamnen"
)
STREET_WITH_NUMBER: Final = re.compile(
    rf"\b(?P<it>(?:{_CAPITAL}[\w.']{_LETTERS}\s+){{0,3}}(?:[\w-]{{2,40}}(?i:{_SURE_STREETS})"
    rf"|{_CAPITAL}[\w-]{_LETTERS}(?:{_OTHER_STREETS})){_NUMBER})"
)
STREET: Final = re.compile(
    rf"\b(?P<it>{_CAPITAL}[\w-]{{2,40}}(?:gatan|vägen|gränd|gaten|veien|gade|katu|straße|strasse))\b"
)
SPACED_STREET: Final = re.compile(
    rf"\b(?P<it>(?:{_CAPITAL}[\w.'-]{_LETTERS}\s+){{1,3}}(?i:gata|gatan|väg|gränd|gate|vei|veg|vej|gade|allé|plads|plass|tie|katu|"
    rf"Straße|Strasse|Weg|Platz|Street|Road|Lane|Avenue)(?:{_NUMBER})?)\b(?!\w)"
)
ENGLISH_STREET: Final = re.compile(
    rf"\b(?P<it>(?:\d{{1,4}}[a-z]?\s+)?(?:{_CAPITAL}[\w'-]{{1,40}}\s+){{1,2}}(?:Street|Road|Lane|Avenue|Close|Drive|Crescent))\b"
)
POSTCODE: Final = re.compile(
    rf"(?<!\w)(?P<it>(?:[A-Z]{{1,2}}-)?(?:\d{{3}} \d{{2}}|\d{{5}}|(?!19|20)\d{{4}})\s+{_CAPITAL}[\w-]{{2,}})"
)
HOME: Final = re.compile(
    r"\b(?P<it>(?:lgh|lägenhet(?:en)?|leilighet|lejlighed|lejl\.|asunto|as\.|wohnung|apartment|flat|bolignr\.?)"
    r"\s*(?:nr\.?\s*|nummer\s+)?[A-Z]?\d{1,4}[A-Za-z]?)\b",
    re.IGNORECASE,
)

_SIGN_OFFS: Final = (
    r"(?:m\.?v\.?h\.?|(?:med |med de )?(?:vänliga? |bästa |varma )?hälsning(?:ar|en)?(?: från)?|vennlig hilsen"
    r"|(?:med )?venlig hilsen|(?:beste |kærlig )?hilsen(?: fra)?|terveisin|terv\.|t\.|"
    r"(?:kind |best )?regards(?: from)?|yours|sincerely|"
    r"(?:mit freundlichen |liebe |viele |freundliche )?grüßen?(?: von)?|mfg|LG|VG)"
)
SIGNED: Final = re.compile(
    rf"(?:^|[\s.,;!?])(?i:{_SIGN_OFFS})[\s,.:/-]+(?P<it>{_CAPITAL}[\w'-]+(?:\s+{_CAPITAL}[\w'.-]+){{0,2}})"
)
SLASH_SIGNED: Final = re.compile(
    rf"(?:^|[\s.])[/–—~-]\s?(?P<it>{_CAPITAL}[\w'-]+(?:\s+{_CAPITAL}[\w'.-]+){{0,2}})\s*\Z"
)
