"""Text messages as they are paid for: the letters of GSM 03.38 and the number of parts (D12). Pure."""

import re
import unicodedata

_LOOKS = {
    "–": "-",
    "—": "-",
    "‑": "-",
    "−": "-",
    "…": "...",
    "‘": "'",
    "’": "'",
    "‚": "'",
    "`": "'",
    "“": '"',
    "”": '"',
}
_LOOKS_TOO = {
    "`": "'",
    "„": '"',
    "«": '"',
    "»": '"',
    "\u00a0": " ",
    "\u202f": " ",
    "\t": " ",
    "\u200b": "",
    "\ufeff": "",
}
_LETTERS = {"ł": "l", "Ł": "L", "đ": "d", "ð": "d", "þ": "th", "Þ": "Th", "œ": "oe", "Œ": "OE", "`": "'"}
_SPELLING = str.maketrans(_LOOKS | _LOOKS_TOO | _LETTERS)
_ONE = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_TWO = frozenset("^{}\\[~]|€\f")
_ALL = _ONE | _TWO
# What most texts are made of, told at once; all else goes letter by letter.
_PLAIN = re.compile(f"[{re.escape(''.join(_ONE - {chr(10), chr(13)}))}]*")
_GSM_SINGLE, _GSM_PART = 160, 153
_UCS_SINGLE, _UCS_PART = 70, 67


def in_gsm7(text: str) -> str:
    """The text in the letters of GSM 03.38: one other letter more than doubles the price of a message."""
    if _PLAIN.fullmatch(text):
        return " ".join(text.split())
    kept: list[str] = []
    for letter in unicodedata.normalize("NFC", text).translate(_SPELLING):
        plain = letter if letter in _ALL else unicodedata.normalize("NFKD", letter)
        kept += [p for p in plain if p in _ALL]
    return " ".join("".join(kept).split())


def segments(text: str) -> int:
    """How many parts the text is sent and paid as; letters outside GSM 03.38 make all of it UCS-2."""
    if _PLAIN.fullmatch(text):
        return 1 if len(text) <= _GSM_SINGLE else -(-len(text) // _GSM_PART)
    if all(letter in _ALL for letter in text):
        units = sum(2 if letter in _TWO else 1 for letter in text)
        return 1 if units <= _GSM_SINGLE else -(-units // _GSM_PART)
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    return 1 if units <= _UCS_SINGLE else -(-units // _UCS_PART)
