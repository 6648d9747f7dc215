"""Words from gettext sources (.po), read once in a process."""

import gettext
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from babel.messages.pofile import read_po


@dataclass(frozen=True, slots=True)
class Catalogue:
    """One language's words of a domain; `plural_form` tells which form of a plural goes with a number."""

    texts: Mapping[str, str]
    plurals: Mapping[str, tuple[str, ...]]
    plural_form: Callable[[int], int]


def read_catalogue(locales: Path, language: str, domain: str) -> dict[str, str]:
    """One language's words of a domain without plurals, as key to text. `locales` is laid out as gettext wants it."""
    return dict(read_plural_catalogue(locales, language, domain).texts)


@cache
def read_plural_catalogue(locales: Path, language: str, domain: str) -> Catalogue:
    """One language's words of a domain, plurals apart."""
    with (locales / language / "LC_MESSAGES" / f"{domain}.po").open("rb") as source:
        catalogue = read_po(source, locale=language, abort_invalid=True)
    texts: dict[str, str] = {}
    plurals: dict[str, tuple[str, ...]] = {}
    for message in catalogue:
        if isinstance(message.id, (list, tuple)):
            plurals[message.id[0]] = tuple(message.string or ())
        elif message.id:
            texts[message.id] = str(message.string or "")
    return Catalogue(texts, plurals, gettext.c2py(catalogue.plural_expr))
