"""Survey definitions from their files: one TOML file per version, every broken rule told with its line."""

import hashlib
import importlib.resources
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from schemas.response import RatedParty
from services.chassis.failures import MustStop
from services.survey.definitions import (
    FIVE_STEPS,
    FOLLOW_UPS,
    INDEX,
    REASONS,
    RECOMMEND,
    SCALES,
    Definition,
    Definitions,
    Occasion,
)

_ID: Final = re.compile(r"([a-z][a-z_]{0,40})\.v([1-9][0-9]{0,3})")
_LINE: Final = re.compile(r"at line (\d+)")
_SETTING: Final = "KVITTERA_SURVEYS_FOLDER"
E = TypeVar("E", bound=StrEnum)


def load_definitions(folder: Path | None = None) -> Definitions:
    """Those that come with the service, and the installation's own of a folder; call where it is put together.

    Raises:
        MustStop: names the setting, the file, the line and the rule that is broken.
    """
    package = importlib.resources.files(__package__) / "definitions"
    shipped = {f.name: f.read_text("utf-8") for f in package.iterdir() if f.name.endswith(".toml")}
    return read_definitions(shipped, {} if folder is None else _of_folder(folder))


def read_definitions(files: Mapping[str, str], own: Mapping[str, str] = MappingProxyType({})) -> Definitions:
    """All definitions, from file names to texts: those of the service, which cover every occasion, and `own` ones.

    Raises:
        MustStop: names the file, the line and the rule that is broken, and the setting where it is an own one.
    """
    definitions = [read_definition(name, text) for name, text in sorted(files.items())]
    missing = set(Occasion) - {d.occasion for d in definitions}
    if missing:
        raise MustStop(f"no survey definition for {', '.join(sorted(missing))}: add a file for each")
    try:
        return Definitions(definitions, [read_definition(name, text) for name, text in sorted(own.items())])
    except MustStop as wrong:
        raise MustStop(f"{_SETTING}: {wrong}") from None


def _of_folder(folder: Path) -> Mapping[str, str]:
    file = folder
    texts: dict[str, str] = {}
    try:
        for file in sorted(f for f in folder.iterdir() if f.suffix == ".toml"):
            texts[file.name] = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise MustStop(f"{_SETTING}: {file} cannot be read: {type(error).__name__}") from None
    if not texts:  # what should have been mounted there is not
        raise MustStop(f"{_SETTING}: {folder} holds no file that ends in .toml")
    return texts


def read_definition(file: str, text: str) -> Definition:
    """One definition from the text of its file.

    Raises:
        MustStop: names the file, the line and the rule that is broken.
    """
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        raise MustStop(f"{file}:{found[1] if found else 1}: {error}") from None
    return _Reading(file, text, values).definition()


@dataclass(frozen=True, slots=True)
class _Reading:
    """A file being read: every rule that it breaks is told with its line."""

    file: str
    text: str
    values: Mapping[str, Any]

    def definition(self) -> Definition:
        self._known_keys("", self.values, ("id", "for", "rated", "scale", "follow_ups", "index", "comment", "reasons"))
        reasons = self._take("reasons", self.values, dict, "a table")
        self._known_keys("reasons.", reasons, ("low", "middle", "high"))
        follow_ups = self._names("follow_ups", self.values, (*FIVE_STEPS, RECOMMEND))
        index = self._take("index", self.values, bool, "true or false")
        return Definition(
            id=self._id(),
            occasion=self._one_of("for", Occasion),
            rated=self._one_of("rated", RatedParty),
            scale=self._scale(),
            follow_ups=tuple(FOLLOW_UPS[name] for name in (*follow_ups, *(INDEX if index else ()))),
            low=self._names("reasons.low", reasons, REASONS),
            middle=self._names("reasons.middle", reasons, REASONS),
            high=self._names("reasons.high", reasons, REASONS),
            comment=self._take("comment", self.values, bool, "true or false"),
            sha256=hashlib.sha256(json.dumps(self.values, sort_keys=True).encode()).digest(),
        )

    def _id(self) -> str:
        name = str(self._take("id", self.values, str, "a text"))
        if not _ID.fullmatch(name):
            raise self._wrong("id", "must look like home.v1")
        if self.file.rpartition("/")[2] != f"{name}.toml":
            raise self._wrong("id", f"must be the file's name, or the file be called {name}.toml")
        return name

    def _scale(self) -> str:
        scale = str(self._take("scale", self.values, str, "a text"))
        if scale not in SCALES:
            raise self._wrong("scale", f"must be one of {', '.join(SCALES)}", scale)
        return scale

    def _one_of(self, key: str, choices: type[E]) -> E:
        value = self._take(key, self.values, str, "a text")
        try:
            return choices(value)
        except ValueError:
            raise self._wrong(key, f"must be one of {', '.join(choices)}", value) from None

    def _names(self, key: str, table: Mapping[str, Any], known: Sequence[str]) -> tuple[str, ...]:
        names = self._take(key, table, list, "a list of names")
        for name in names:
            if name not in known:
                raise self._wrong(key, f"has {name!r}, which is none of {', '.join(known)}", name)
        if len(set(names)) != len(names):
            raise self._wrong(key, "names something twice")
        return tuple(names)

    def _take(self, key: str, table: Mapping[str, Any], kind: type, what: str) -> Any:
        name = key.rpartition(".")[2]
        if name not in table:
            raise self._wrong(key, "is missing")
        if not isinstance(table[name], kind):
            raise self._wrong(key, f"must be {what}")
        return table[name]

    def _known_keys(self, prefix: str, table: Mapping[str, Any], known: Sequence[str]) -> None:
        for name in table:
            if name not in known:
                raise self._wrong(f"{prefix}{name}", f"is none of {', '.join(known)}")

    def _wrong(self, key: str, rule: str, value: object = None) -> MustStop:
        return MustStop(f"{self.file}:{self._line(key, value)}: {key} {rule}")

    def _line(self, key: str, value: object) -> int:
        """Where a key stands, or a value of it: the first line of its own; a missing key is told at line 1."""
        table, _, name = key.rpartition(".")
        inside, start = "", None
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := re.fullmatch(r"\s*\[\s*([\w.]+)\s*\]\s*(?:#.*)?", line):
                inside = header[1]
                if name == inside and not table:
                    return number
            elif inside == table and re.match(rf"""\s*["']?{re.escape(name)}["']?\s*=""", line):
                start = number
            if start is not None and (value is None or re.search(rf"""["']{re.escape(str(value))}["']""", line)):
                return number
        return start or 1
