"""The lint over all words that recipients read: plain, no marketing, no flattery, nothing wider than a phone."""

import re
import unicodedata
from typing import Final

_UNWANTED: Final = {
    "en": (
        r"amazing|awesome|great|fantastic|wonderful|excellent|perfect\w*|super|love|delight\w*|happy|unhappy|valued|"
        r"valuable|your opinion|important|appreciat\w*|sorry|apolog\w*|unfortunately|customers?|offers?|discount|"
        r"deals?|free|win|prize|exclusive|best"
    ),
    "sv": (
        r"fantastisk\w*|underbar\w*|super\w*|toppen|jätte\w*|perfekt\w*|glad\w*|kund\w*|din åsikt|dina åsikter|"
        r"viktig\w*|värdefull\w*|uppskattar|ursäkt\w*|förlåt|beklagar|tyvärr|erbjudande\w*|rabatt\w*|vinn|vinst\w*|gratis|"
        r"exklusiv\w*|bästa?"
    ),
    "nb": (
        r"fantastisk\w*|super\w*|topp|perfekt\w*|glad\w*|kunden?|kunder\w*|din mening|meningen din|viktig\w*|"
        r"verdifull\w*|setter pris|unnskyld\w*|beklager|dessverre|tilbud\w*|rabatt\w*|"
        r"vinn|gevinst\w*|gratis|eksklusiv\w*|best|beste"
    ),
    "nn": (
        r"fantastisk\w*|super\w*|topp|perfekt\w*|glad\w*|kunden?|kundar\w*|di meining|meininga di|viktig\w*|"
        r"verdfull\w*|set pris|orsak|unnskyld\w*|beklagar|diverre|tilbod\w*|"
        r"rabatt\w*|vinn|gevinst\w*|gratis|eksklusiv\w*|best|beste"
    ),
    "da": (
        r"fantastisk\w*|super\w*|perfekt\w*|glad\w*|kunden?|kunder\w*|din mening|vigtig\w*|værdifuld\w*|sætter pris|"
        r"undskyld\w*|beklager|desværre|tilbud\w*|rabat\w*|vind|gevinst\w*|gratis|eksklusiv\w*|bedst\w*"
    ),
    "fi": (
        r"mahtava\w*|ihana\w*|loistava\w*|upea\w*|super\w*|täydelli\w*|iloi\w*|asiaka\w*|asiakka\w*|mielipi\w*|tärkeä\w*|"
        r"arvokas\w*|arvosta\w*|pahoittel\w*|valitettavasti|anteeksi|tarjou\w*|alennu\w*|voita|ilmai\w*|paras|parha\w*"
    ),
    "de": (
        r"toll\w*|großartig\w*|fantastisch\w*|wunderbar\w*|super|perfekt\w*|glücklich\w*|kund(?:e|en|in|innen)|"
        r"ihre meinung|wichtig\w*|wertvoll\w*|schätzen|entschuldig\w*|leider|bedauer\w*|tut uns leid|"
        r"angebot\w*|rabatt\w*|gewinn\w*|gratis|kostenlos\w*|exklusiv\w*|beste\w*"
    ),
}
"""Marketing, flattery, apologies by template, and people called customers."""
_FOREIGN: Final = {
    "en": r"och|og|und|oder|ikke|ikkje|inte|nicht|ei",
    "sv": r"the|your|you|with|ikke|ikkje|og|jeg|eg|und|nicht|fra|frå|hva|hvad|kva",
    "nb": r"the|your|you|with|och|inte|ikkje|eg|kva|korleis|frå|hvad|af|meget|und|nicht|ein|vart|sida",
    "nn": r"the|your|you|with|och|inte|ikke|jeg|hva|hvad|hvordan|fra|af|meget|und|nicht|ble|siden",
    "da": r"the|your|you|with|och|inte|ikkje|eg|kva|hva|korleis|av|und|nicht",
    "fi": r"the|your|you|with|och|inte|ikke|og|und|nicht|du|din|ditt|dein",
    "de": r"the|your|you|with|och|inte|ikke|og|ikkje|du|dein|deine",
}
"""Words of a neighbour that stay behind when a catalogue is made from another one."""
_SHORT: Final = {
    "face.": 21,
    "channel.": 16,
    "reason.": 32,
    "ends.": 28,
    "question.": 48,
    "budget.": 60,
    "submit": 12,
    "retry": 24,
    "send": 24,
    "change.send": 24,
    "not_received": 40,
    "contested.withdraw": 40,
    "demo": 14,
}
_LONGEST_TEXT, _LONGEST_WORD = 140, 24
_ACRONYM = 3
_NO_LETTERS: Final = frozenset({"So", "Sk", "Cf", "Co", "Cs", "Cc"})
"""Unicode categories of emoji and of what cannot be seen."""
_WORD: Final = re.compile(r"[\w-]+")


def faults(language: str, text: str) -> list[str]:
    """What is wrong with one text, in words; nothing when it may be shown."""
    found = [f"says {word!r}" for word in _words_of(_UNWANTED[language], text)]
    found += [f"is not {language}: {word!r}" for word in _words_of(_FOREIGN[language], text)]
    found += [f"has {letter!r}" for letter in text if letter in "!¡" or unicodedata.category(letter) in _NO_LETTERS]
    if not text or text != " ".join(text.split()):
        found.append("is empty or has needless white space")
    return found + [f"shouts {word!r}" for word in _WORD.findall(text) if len(word) > _ACRONYM and word.isupper()]


def _words_of(words: str, text: str) -> list[str]:
    return re.findall(rf"\b(?:{words})\b", text, re.IGNORECASE)


def too_long(key: str, text: str) -> list[str]:
    """What would not fit a page 320 px wide."""
    words = re.sub(r"\{\w+\}", "", text)
    limit = next((n for start, n in _SHORT.items() if key.startswith(start)), _LONGEST_TEXT)
    found = [f"has {len(words)} characters, at most {limit} fit"] if len(words) > limit else []
    return found + [f"has the long word {w!r}" for w in _WORD.findall(words) if len(w) > _LONGEST_WORD]


def placeholders(text: str) -> frozenset[str]:
    """The names that stand in braces in `text`."""
    return frozenset(re.findall(r"\{(\w+)\}", text))
