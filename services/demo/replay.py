"""Real input: deliveries and answers from a CSV file, by a mapping in TOML."""

import csv
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from schemas.delivery import ChannelKind, ContactChannel, DeliveryCompleted, PersonalData
from services.chassis.failures import MustStop
from services.demo.people import Behaviour, Case

_NOT_AN_IDENTIFIER = re.compile(r"[^A-Za-z0-9_.:-]")


@dataclass(frozen=True, slots=True)
class Mapped:
    """Where a field comes from: a column, perhaps through a table of values, or a fixed value."""

    column: str | None = None
    values: Mapping[str, Any] | None = None
    fixed: Any = None

    def of(self, row: Mapping[str, str], line: int, field: str) -> Any:
        """The field's value in a row."""
        if self.column is None:
            return self.fixed
        text = row[self.column]
        if self.values is None:
            return text
        if text not in self.values:
            raise MustStop(f"line {line}: {self.column}={text!r} is not in the mapping's values for {field}")
        return self.values[text]


@dataclass(frozen=True, slots=True)
class Replay:
    """A CSV file read as deliveries whose recipients answer what the file says."""

    file: Path
    id_column: str
    score: Mapped
    fields: Mapping[str, Mapped]
    delimiter: str = ","

    @classmethod
    def open(cls, file: Path, mapping: Path) -> "Replay":
        """Read the mapping.

        Raises:
            MustStop: a file is missing, or the mapping names what is not there.
        """
        try:
            told = tomllib.loads(mapping.read_text(encoding="utf-8"))
            fields = {name: _mapped(how) for name, how in told["delivery"].items()}
            replay = cls(file, told["id"], _mapped(told["score"]), fields, told.get("delimiter", ","))
            columns = replay.columns()
        except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
            raise MustStop(f"cannot replay {file} by {mapping}: {type(error).__name__} {error}") from None
        wanted = {replay.id_column, *(m.column for m in (replay.score, *fields.values()) if m.column)}
        if missing := sorted(wanted - set(columns)):
            raise MustStop(f"{file} has no column {', '.join(missing)}; it has {', '.join(columns)}")
        return replay

    def columns(self) -> list[str]:
        """The names in the first line."""
        # utf-8-sig: spreadsheets like to put a byte-order mark in front.
        with self.file.open(encoding="utf-8-sig", newline="") as lines:
            return next(csv.reader(lines, delimiter=self.delimiter), [])

    def __len__(self) -> int:
        """How many deliveries there are."""
        with self.file.open(encoding="utf-8-sig", newline="") as lines:
            return sum(1 for _ in csv.DictReader(lines, delimiter=self.delimiter))

    def cases(self, now: datetime) -> Iterator[Case]:
        """Every line as a delivery of this moment, in the order of the file.

        Raises:
            MustStop: a line does not fit; it is named.
        """
        with self.file.open(encoding="utf-8-sig", newline="") as lines:
            for line, row in enumerate(csv.DictReader(lines, delimiter=self.delimiter), 2):
                yield self._case(row, line, now)

    def _case(self, row: Mapping[str, str], line: int, now: datetime) -> Case:
        name = _NOT_AN_IDENTIFIER.sub("_", f"{self.file.stem}-{row[self.id_column]}")
        address = f"{name}@mottagare.example"
        facts = {field: how.of(row, line, field) for field, how in self.fields.items()}
        try:
            delivery = DeliveryCompleted.model_validate(
                {
                    "delivery": {"delivery_id": name, "occurred_at": now, **facts},
                    "pii": PersonalData(
                        language="sv", channels=(ContactChannel(kind=ChannelKind.EMAIL, address=address),)
                    ),
                }
            )
            score = int(self.score.of(row, line, "score"))
        except (ValidationError, ValueError) as error:
            raise MustStop(f"{self.file} line {line} does not fit: {error}") from None
        return Case(delivery, address, Behaviour(answers=True, score=score))


def _mapped(how: Any) -> Mapped:
    if isinstance(how, dict):
        return Mapped(column=how["column"], values=how.get("values"))
    return Mapped(fixed=how)
