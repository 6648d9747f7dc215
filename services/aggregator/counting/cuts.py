"""The cuts that are counted: by which properties of the delivery, alone or together, and in which windows."""

import importlib.resources
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from schemas.satisfaction import Window
from services.chassis.failures import MustStop

OF_DELIVERY = (
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
    "disruption",
    "disrupted",
)
"""What a delivery can be cut by: fields of its attribution snapshot."""
WAVE = "wave"
"""Answers given early or late after the delivery: within three days, or with `wave_5` within five."""
OF_RECORD = ("channel", "language", "reason", WAVE)
"""What an answer or a decision can be cut by: its own fields."""
SERIES = "series"
"""Stands last in a cut of answers that are kept apart: `series` beside `total`, `terminal.series` beside `terminal`."""
PROPERTIES = (*OF_DELIVERY, *OF_RECORD, SERIES)

JOINT = " × "
"""Stands between the values of a cut by several properties."""

_SHORT = {"merchant": "merchant_id", "chosen": "method_chosen_by_recipient"}
TOTAL = "total"
STANDARD = (Window.HOUR, Window.DAY, Window.WEEK, Window.MONTH, Window.ALL)
"""The windows of a cut unless the file says otherwise."""
_WAVE_OF_DAYS = re.compile(r"wave_([1-9]|[1-5][0-9]|60)")
_USUAL_WAVE_DAYS = 3
_EARLIER = ("cuts_1.toml",)
_MOST = 2**31
_KNOWN_KEYS = {"version", "cuts", "windows", "windows_of"}


@dataclass(frozen=True, slots=True)
class Cut:
    """One cut: its name, the properties whose values together name a unit (none: everything), and its windows."""

    name: str
    properties: tuple[str, ...]
    windows: tuple[Window, ...] = STANDARD

    @property
    def of_series(self) -> bool:
        """Whether only answers that are kept apart count in it, by their series."""
        return self.properties[-1:] == (SERIES,)


def beside(cut: str) -> str:
    """The cut of the series beside a cut."""
    return SERIES if cut == TOTAL else f"{cut}.{SERIES}"


def wave_days(name: str) -> int | None:
    """After how many days answers are late by a property, `wave` or `wave_5`; None: it is another property."""
    if name == WAVE:
        return _USUAL_WAVE_DAYS
    told = _WAVE_OF_DAYS.fullmatch(name)
    return int(told[1]) if told else None


def wave_cut(counted: Iterable[str], of: str = TOTAL) -> str | None:
    """The cut by waves beside `total` or another one, among those that are counted; the longest wave of several."""
    start = "" if of == TOTAL else f"{of}."
    found = [(days, name) for name in counted if (days := _days_beside(start, name)) is not None]
    return max(found)[1] if found else None


def _days_beside(start: str, name: str) -> int | None:
    return wave_days(name.removeprefix(start)) if name.startswith(start) else None


def cut_named(name: str, windows: tuple[Window, ...] = STANDARD) -> Cut:
    """The cut of a name such as `terminal`, `merchant.method` or `total`.

    Raises:
        MustStop: a property that deliveries do not have.
    """
    if name == TOTAL:
        return Cut(name, (), windows)
    properties = tuple(_SHORT.get(part.strip(), part.strip()) for part in name.replace(",", ".").split("."))
    if unknown := [p for p in properties if p not in PROPERTIES and wave_days(p) is None]:
        raise MustStop(f"cut {name!r}: deliveries have no {', '.join(unknown)}; known: total, {', '.join(PROPERTIES)}")
    if SERIES in properties[:-1]:
        raise MustStop(f"cut {name!r}: {SERIES} must be the last property")
    return Cut(name.replace(",", ".").replace(" ", ""), properties, windows)


@dataclass(frozen=True, slots=True)
class CutsFile:
    """What a file of cuts says. `version` is raised with every change of it; 0: it tells none."""

    version: int
    cuts: Sequence[Cut]
    earlier: "Sequence[CutsFile]" = ()
    """Of the built-in file: those of versions before. Tables that were counted by one are counted on by it."""


def load_cuts(file: Path | None) -> Sequence[Cut]:
    """The cuts of a file. Raises what `read_cuts` raises."""
    return read_cuts(file).cuts


def read_cuts(file: Path | None) -> CutsFile:
    """A TOML file in the form of `cuts.toml` beside this module, or that one.

    Raises:
        MustStop: the file cannot be read or names something unknown; says which line.
    """
    if file is None:
        return replace(_built_in("cuts.toml"), earlier=[_built_in(name) for name in _EARLIER])
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MustStop(f"KVITTERA_CUTS_FILE {file}: {error}") from None
    return _File(str(file), text).read()


def _built_in(name: str) -> CutsFile:
    file = importlib.resources.files("services.aggregator.counting") / name
    return _File(name, file.read_text(encoding="utf-8")).read()


@dataclass(frozen=True, slots=True)
class _File:
    """The text of a file of cuts; every refusal tells its name and, where there is one, the line."""

    name: str
    text: str

    def read(self) -> CutsFile:
        told = self._parsed()
        return CutsFile(self._version(told.get("version", 0), "version" in told), self._cuts(told))

    def _version(self, version: object, told: bool) -> int:
        if not isinstance(version, int) or isinstance(version, bool) or (told and not 0 < version < _MOST):
            raise self._refusal("version must be a whole number from 1 on", "version")
        return version

    def _cuts(self, told: Mapping[str, Any]) -> Sequence[Cut]:
        names = self._names(told.get("cuts"))
        standard = self._windows("windows", told.get("windows", [*STANDARD]))
        own = told.get("windows_of", {})
        if not isinstance(own, dict):
            raise self._refusal("windows_of must be a table of cuts and their windows", "windows_of")
        cuts = [self._cut(n, standard) for n in names]
        # Two spellings of one cut would count everything in it twice.
        if len({c.name for c in cuts}) != len(cuts):
            raise self._refusal("cuts must be a list of different names", "cuts")
        by_name = {TOTAL: cut_named(TOTAL, standard), **{c.name: c for c in cuts}}
        by_name.setdefault(SERIES, cut_named(SERIES))
        if alone := [c.name for c in cuts if c.of_series and c.name not in map(beside, by_name)]:
            raise self._refusal(f"{alone[0]} stands beside a cut that is not among the cuts", alone[0])
        for cut, windows in own.items():
            if cut not in by_name:
                raise self._refusal(f"windows_of {cut}: it is not among the cuts", cut)
            by_name[cut] = cut_named(cut, self._windows(cut, windows))
        return tuple(by_name.values())

    def _parsed(self) -> dict[str, Any]:
        try:
            told = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise MustStop(f"KVITTERA_CUTS_FILE {self.name}: {error}") from None
        if unknown := sorted(told.keys() - _KNOWN_KEYS):
            raise self._refusal(f"{unknown[0]} means nothing; known: {', '.join(sorted(_KNOWN_KEYS))}", unknown[0])
        return told

    def _names(self, names: object) -> list[str]:
        if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise self._refusal("cuts must be a list of names", "cuts")
        return names

    def _cut(self, name: str, windows: tuple[Window, ...]) -> Cut:
        try:
            return cut_named(name, windows)
        except MustStop as stop:
            raise self._refusal(str(stop), name) from None

    def _windows(self, of: str, names: object) -> tuple[Window, ...]:
        known = {w.value for w in Window}
        if not isinstance(names, list) or not names or not {n for n in names if isinstance(n, str)} <= known:
            raise self._refusal(f"{of}: windows are a list of {', '.join(Window)}", of)
        if wrong := [n for n in names if not isinstance(n, str)]:
            raise self._refusal(f"{of}: {wrong[0]!r} is no window", of)
        return tuple(w for w in Window if w.value in names)

    def _refusal(self, what: str, word: str) -> MustStop:
        line = next((n for n, text in enumerate(self.text.splitlines(), 1) if word in text.partition("#")[0]), None)
        return MustStop(f"KVITTERA_CUTS_FILE {self.name}{f', line {line}' if line else ''}: {what}")
