"""Case numbers that people can read out: `K-7F3Q-2`, with a check character.

31 characters without I, O, U, 0 and 1. As 31 is prime, the weighted check finds every single wrong character and
every swap of two neighbours. Serials are spread over the numbers, so that a number does not tell how many came before.
"""

import re

_CHARACTERS = "23456789ABCDEFGHJKLMNPQRSTVWXYZ"
_BASE = len(_CHARACTERS)
_SHORTEST = 4
_SPREAD = 611_953  # coprime to 31, so that spreading can be undone
_FORM = re.compile(rf"K-?([{_CHARACTERS}]{{{_SHORTEST},10}})-?([{_CHARACTERS}])")


def number_of(serial: int) -> str:
    """The number of the case with this serial, counted from 1."""
    width, first = _SHORTEST, 0
    while serial - first >= _BASE**width:
        first += _BASE**width
        width += 1
    spread = (serial - first) * _SPREAD % _BASE**width
    digits = [spread // _BASE**place % _BASE for place in reversed(range(width))]
    return f"K-{''.join(_CHARACTERS[d] for d in digits)}-{_CHARACTERS[_check(digits)]}"


def serial_of(number: str) -> int | None:
    """The serial behind a number as a person writes it; None where it is no number of ours."""
    found = _FORM.fullmatch(number.strip().upper())
    if found is None:
        return None
    digits = [_CHARACTERS.index(c) for c in found[1]]
    if _CHARACTERS[_check(digits)] != found[2]:
        return None
    width = len(digits)
    spread = 0
    for digit in digits:
        spread = spread * _BASE + digit
    first: int = sum(_BASE**w for w in range(_SHORTEST, width))
    undo: int = pow(_SPREAD, -1, _BASE**width)
    back: int = spread * undo % _BASE**width
    return first + back


def _check(digits: list[int]) -> int:
    return sum(weight * digit for weight, digit in enumerate(digits, 1)) % _BASE
