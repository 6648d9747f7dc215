"""Whether digits are a national personal number: Sweden, Norway, Denmark, Finland, with their own checks."""

from datetime import date

_CENTURIES = (1900, 2000)
_COORDINATION = 60  # Sweden: a coordination number adds this to the day
_D_NUMBER = 40  # Norway: a D number adds this to the day
_FINNISH = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_NORWEGIAN = ((3, 7, 6, 1, 8, 9, 4, 5, 2, 1), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1))
_SHORT, _LONG, _NORWEGIAN_DIGITS = 10, 12, 11


def is_personal_number(text: str) -> bool:
    """Whether the text, separators included, is a personal number of one of the four countries."""
    digits = "".join(c for c in text if c.isdigit())
    if text[-1:].isalpha() or any(c.isalpha() for c in text):
        return _finnish(text.upper())
    return _swedish(digits) or _norwegian(digits) or _danish(digits) or _finnish(text)


def _swedish(digits: str) -> bool:
    """YYMMDDNNNN or with the century; the last digit by Luhn. Source: Skatteverket SKV 704."""
    if len(digits) == _LONG:
        digits = digits[2:]
    if len(digits) != _SHORT:
        return False
    year, month, day = int(digits[:2]), int(digits[2:4]), int(digits[4:6])
    doubled = (int(d) * (2 - n % 2) for n, d in enumerate(digits))
    return _is_date(year, month, day % _COORDINATION) and sum(d // 10 + d % 10 for d in doubled) % 10 == 0


def _norwegian(digits: str) -> bool:
    """DDMMYYNNNKK with two check digits by weights modulo 11. Source: Skatteetaten."""
    if len(digits) != _NORWEGIAN_DIGITS:
        return False
    day, month, year = int(digits[:2]), int(digits[2:4]), int(digits[4:6])
    checks = (sum(w * int(d) for w, d in zip(weights, digits, strict=False)) % 11 for weights in _NORWEGIAN)
    return _is_date(year, month, day % _D_NUMBER) and not any(checks)


def _danish(digits: str) -> bool:
    """DDMMYYNNNN; since 2007 only the date can be checked. Source: CPR-kontoret."""
    return len(digits) == _SHORT and _is_date(int(digits[4:6]), int(digits[2:4]), int(digits[:2]))


def _finnish(text: str) -> bool:
    """DDMMYY, a sign for the century, three digits and a check sign. Source: Digi- ja väestötietovirasto."""
    if len(text) != len("010101-123N") or not (text[:6] + text[7:10]).isdigit():
        return False
    day, month, year = int(text[:2]), int(text[2:4]), int(text[4:6])
    return _is_date(year, month, day) and _FINNISH[int(text[:6] + text[7:10]) % len(_FINNISH)] == text[10]


def _is_date(year: int, month: int, day: int) -> bool:
    for century in _CENTURIES:
        try:
            date(century + year, month, day)
        except ValueError:
            continue
        return True
    return False
