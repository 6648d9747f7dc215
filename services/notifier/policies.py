"""Reading the policies: one TOML file for each section and version, each with the moment from which it holds.

`countries.v2.toml` is version 2 of the section `countries`. Of a section's versions the one holds whose
`effective_from` came last. The files in `default_policies/` hold until a file of the installation's own folder does.
"""

import importlib.resources
import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from services.chassis.failures import MustStop
from services.notifier.policy.sections import Policies, Section
from services.notifier.schedule import departure

SECTIONS: Mapping[str, type[Section]] = {
    name: annotation
    for name, field in Policies.model_fields.items()
    if isinstance(annotation := field.annotation, type) and issubclass(annotation, Section)
}
_NAME = re.compile(r"([a-z]+)\.v([1-9][0-9]{0,5})\.toml")
_LINE = re.compile(r"at line (\d+)")
_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?")
_KEY = re.compile(r"""\s*["']?([\w.:-]+)["']?\s*=""")
_MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a section.

    Attributes:
        id: such as `countries.v1`, or `default:countries.v1` of the service's own; goes with every decision.
        effective_from: it holds from this moment on.
    """

    id: str
    name: str
    effective_from: datetime
    section: Section


@dataclass(frozen=True, slots=True)
class PolicyBook:
    """All versions: `own` ones of the installation, and those that come with the service."""

    own: Sequence[Version]
    shipped: Sequence[Version]
    _changes: list[datetime] = field(init=False)
    _between: dict[int, Policies] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_changes", sorted({v.effective_from for v in (*self.own, *self.shipped)}))

    def at(self, moment: datetime) -> Policies:
        """The policies that hold at a moment; between two changes they are looked up once."""
        since = bisect_right(self._changes, moment)
        if since not in self._between:
            self._between[since] = self._at(moment)
        return self._between[since]

    def departs(self, zone: str, country: str, at: datetime) -> datetime:
        """The first moment, from `at` on, at which a message may leave by the hours that hold then."""
        return departure(self.at(at).hours.of(country), zone, country, at).at

    def _at(self, moment: datetime) -> Policies:
        holding = {**_latest(self.shipped, moment), **_latest(self.own, moment)}
        sections: dict[str, object] = {name: version.section for name, version in holding.items()}
        return Policies.model_validate({**sections, "ids": tuple(sorted(v.id for v in holding.values()))})


def read_policies(folder: Path | None) -> PolicyBook:
    """The policies of a folder, on top of those that come with the service.

    Raises:
        MustStop: names the file, the line and what is wrong there.
    """
    package = importlib.resources.files(__package__) / "default_policies"
    shipped = {f.name: f.read_text("utf-8") for f in package.iterdir() if f.name.endswith(".toml")}
    versions = [replace(v, id=f"default:{v.id}") for v in parse_policies(shipped)]
    return PolicyBook(() if folder is None else _of_folder(folder), versions)


def read_changed(file: Path) -> tuple[str, Section]:
    """One policy to be tried: the name of its section, and the section.

    Raises:
        MustStop: names the file, the line and what is wrong there.
    """
    try:
        version = _version(file.name, file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise MustStop(f"cannot read {file}: {type(error).__name__}") from None
    return version.name, version.section


def _of_folder(folder: Path) -> Sequence[Version]:
    try:
        texts = {f.name: f.read_text("utf-8") for f in sorted(folder.iterdir()) if f.name.endswith(".toml")}
    except (OSError, UnicodeDecodeError) as error:
        raise MustStop(f"KVITTERA_POLICIES_FOLDER cannot be read: {type(error).__name__}") from None
    return parse_policies(texts)


def parse_policies(texts: Mapping[str, str]) -> Sequence[Version]:
    """From file names to their texts.

    Raises:
        MustStop: names the file, the line and what is wrong there.
    """
    found = [_version(file, text) for file, text in sorted(texts.items())]
    begins: dict[tuple[str, datetime], str] = {}
    for version in found:
        first = begins.setdefault((version.name, version.effective_from), version.id)
        if first != version.id:
            raise MustStop(f"{version.id}.toml:1: effective_from is the same as in {first}.toml")
    return found


def _version(file: str, text: str) -> Version:
    name = _NAME.fullmatch(file)
    if name is None or name[1] not in SECTIONS:
        raise MustStop(f"{file}:1: call it <section>.v<number>.toml; sections are {', '.join(SECTIONS)}")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _LINE.search(str(error))
        raise MustStop(f"{file}:{found[1] if found else 1}: {error}") from None
    try:
        begins = _MOMENT.validate_python(values.pop("effective_from", None))
    except ValidationError:
        line = line_of(text, ("effective_from",))
        raise MustStop(f"{file}:{line}: effective_from must be a moment like 2026-11-01T00:00:00Z") from None
    try:
        return Version(file.removesuffix(".toml"), name[1], begins, SECTIONS[name[1]].model_validate(values))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise MustStop(f"{file}:{line_of(text, first['loc'])}: {where}: {first['msg']}") from None


def _latest(versions: Sequence[Version], moment: datetime) -> dict[str, Version]:
    begun = sorted((v for v in versions if v.effective_from <= moment), key=lambda v: v.effective_from)
    return {v.name: v for v in begun}


def line_of(text: str, where: Sequence[str | int]) -> int:
    """The line of a key, by its path; of what stands nearest above it where the key itself is missing."""
    path = [str(part) for part in where if isinstance(part, str)]
    table: list[str] = []
    best, line = 0, 1
    for number, row in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(row):
            table = [part.strip(" \"'") for part in header[1].split(".")]
            full = table
        elif key := _KEY.match(row):
            full = [*table, key[1]]
        else:
            continue
        if len(full) > best and full == path[: len(full)]:
            best, line = len(full), number
    return line
