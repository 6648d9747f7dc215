"""What a document has for copying."""

import re
from pathlib import Path
from textwrap import dedent


def blocks(document: Path, language: str) -> list[str]:
    """The blocks of a language, in their order, those within lists too."""
    text = document.read_text(encoding="utf-8")
    return [dedent(found) for found in re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)]
