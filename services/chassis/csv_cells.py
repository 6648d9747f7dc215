"""Text in CSV that no spreadsheet runs (row 14 of docs/security.md). Pure."""

from typing import Final

_RUN_BY_SPREADSHEETS: Final = frozenset("=+-@＝＋－＠\t\r\n|%")
_WRAPPINGS: Final = " \"'\u00a0\ufeff\u200b"


def defused(text: str) -> str:
    """The text so that a spreadsheet shows it and never runs it, without NUL, which no CSV can hold."""
    kept = text.replace("\x00", "")
    first = kept.lstrip(_WRAPPINGS)[:1]
    return f"'{kept}" if first in _RUN_BY_SPREADSHEETS and first else kept
