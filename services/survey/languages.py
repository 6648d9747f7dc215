"""The languages of the recipient's pages, and which one a person gets. Pure; docs/languages.md tells the rules."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

LANGUAGES: Final = {
    "sv": "Svenska",
    "nb": "Norsk",
    "nn": "Nynorsk",
    "da": "Dansk",
    "fi": "Suomi",
    "en": "English",
    "de": "Deutsch",
}
"""Every language that has a catalogue, by its own name, in the order of the links on a page."""
LAST_RESORT: Final = "en"
FALLBACKS: Final = {
    "nn": ("nb", "da", "sv"),
    "nb": ("nn", "da", "sv"),
    "da": ("nb", "sv"),
    "sv": ("nb", "da"),
    "fo": ("da", "nb"),
    "kl": ("da",),
    "is": ("da",),
    "gsw": ("de",),
    "lb": ("de",),
}
"""What readers of a language without a catalogue are offered first; English comes after all of them."""
_SAME: Final = {"no": "nb"}
_CODE: Final = re.compile(r"[a-z]{2,3}", re.ASCII)
_FIRST: Final = re.compile(r"[A-Za-z]{2,3}(?![A-Za-z0-9])")
_NORWEGIAN: Final = ("nb", "nn")


@dataclass(frozen=True, slots=True)
class Choice:
    """The language of a page; `instead_of` is the code that somebody wanted first and that we do not have."""

    language: str
    instead_of: str | None = None


def choose_language(*wanted: str | None, available: Collection[str] = tuple(LANGUAGES)) -> Choice:
    """Choose by the first wish that is a language code ("sv-SE" counts as "sv") or has a fallback, else English."""
    missing: str | None = None
    for code in filter(None, map(_code, wanted)):
        found = next((c for c in (code, *FALLBACKS.get(code, ())) if c in available), None)
        missing = missing or (code if found != code else None)
        if found:
            return Choice(found, missing)
    return Choice(LAST_RESORT, missing)


def accepted_language(headers: Mapping[str, str]) -> str:
    """The language that a browser wants most, by its header; empty without one."""
    return first_language(headers.get("accept-language", ""))


def first_language(accepted: str) -> str:
    """The first language of an `Accept-Language` as two or three letters; empty where it is none."""
    found = _FIRST.match(accepted)
    return found[0] if found else ""


def offered_languages(current: str) -> dict[str, str]:
    """The languages that a page links to: Nynorsk only beside Norwegian, which keeps them on one line elsewhere."""
    return {c: name for c, name in LANGUAGES.items() if c != "nn" or current in _NORWEGIAN}


def _code(tag: str | None) -> str | None:
    code = (tag or "").replace("_", "-").split("-")[0].lower()
    return _SAME.get(code, code) if _CODE.fullmatch(code) else None
