"""The cuts that are counted: by which properties of the delivery, alone or together."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.chassis.failures import MustStop

PROPERTIES = (
    "carrier",
    "country",
    "postcode_prefix",
    "terminal",
    "route",
    "driver",
    "service_point",
    "merchant_id",
    "method",
    "method_chosen_by_recipient",
    "touchpoint",
    "attempt",
    "late",
)
"""What a delivery can be cut by: fields of its attribution snapshot."""

JOINT = " × "
"""Stands between the values of a cut by several properties."""

_SHORT = {"merchant": "merchant_id", "chosen": "method_chosen_by_recipient"}
TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Cut:
    """One cut: its name and the properties whose values together name a unit. None at all: everything."""

    name: str
    properties: tuple[str, ...]


def cut_named(name: str) -> Cut:
    """The cut of a name such as `terminal`, `merchant.method` or `total`.

    Raises:
        MustStop: a property that deliveries do not have.
    """
    if name == TOTAL:
        return Cut(name, ())
    properties = tuple(_SHORT.get(part.strip(), part.strip()) for part in name.replace(",", ".").split("."))
    if unknown := [p for p in properties if p not in PROPERTIES]:
        raise MustStop(f"cut {name!r}: deliveries have no {', '.join(unknown)}; known: total, {', '.join(PROPERTIES)}")
    return Cut(name.replace(",", ".").replace(" ", ""), properties)


BUILT_IN = tuple(
    cut_named(name)
    for name in (
        TOTAL,
        "country",
        "terminal",
        "route",
        "driver",
        "service_point",
        "merchant",
        "method",
        "terminal.method",
        "merchant.method",
    )
)


def load_cuts(file: Path | None) -> Sequence[Cut]:
    """The cuts of a TOML file (`cuts = ["total", "terminal", "merchant.method"]`), or the built-in ones.

    Raises:
        MustStop: the file cannot be read or names something unknown.
    """
    if file is None:
        return BUILT_IN
    try:
        names = tomllib.loads(file.read_text(encoding="utf-8"))["cuts"]
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise MustStop(f"KVITTERA_CUTS_FILE {file}: {error}") from None
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
        raise MustStop(f"KVITTERA_CUTS_FILE {file}: cuts must be a list of names")
    cuts = [cut_named(n) for n in names]
    # Two spellings of one cut would count everything in it twice.
    if len({c.name for c in cuts}) != len(cuts):
        raise MustStop(f"KVITTERA_CUTS_FILE {file}: cuts must be a list of different names")
    return tuple(dict.fromkeys([cut_named(TOTAL), *cuts]))
