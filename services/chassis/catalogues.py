"""Words from gettext sources (.po), read once where a service is put together."""

import re
from pathlib import Path

from babel.messages.pofile import read_po

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def read_catalogue(locales: Path, language: str, domain: str) -> dict[str, str]:
    """One language's words of a domain, as key to text. `locales` is laid out as gettext wants it."""
    with (locales / language / "LC_MESSAGES" / f"{domain}.po").open("rb") as source:
        catalogue = read_po(source, locale=language, abort_invalid=True)
    return {str(message.id): str(message.string or "") for message in catalogue if message.id}


def placeholders(text: str) -> frozenset[str]:
    """The names that stand in braces in `text`."""
    return frozenset(_PLACEHOLDER.findall(text))
