"""Real input: deliveries and answers from a CSV file, by a mapping in TOML."""

import csv
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import ValidationError

from schemas.delivery import ChannelKind, ContactChannel, DeliveryCompleted, PersonalData
from services.chassis.failures import MustStop
from services.chassis.wrong_fields import wrong_fields
from services.demo.people import Behaviour, Case

_NOT_AN_IDENTIFIER = re.compile(r"[^A-Za-z0-9_.:-]")
_SCORES = range(1, 6)


class _Unfit(Exception):
    """A line cannot become a delivery; the message says why."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """Where a field comes from: a column, perhaps through a table of values, or a fixed value."""

    column: str | None = None
    values: Mapping[str, Any] | None = None
    fixed: Any = None

    def of(self, row: Mapping[str, str], name: str) -> Any:
        """The field's value in a row; None where the cell is empty and the table says nothing of that."""
        if self.column is None:
            return self.fixed
        text = row[self.column]
        if not text and "" not in (self.values or {}):
            return None
        if self.values is None:
            return text
        if text not in self.values:
            raise _Unfit(f"{self.column}={text!r} is not in the mapping's values for {name}")
        return self.values[text]


@dataclass(frozen=True, slots=True)
class Replay:
    """A CSV file read as deliveries whose recipients answer what the file says."""

    file: Path
    id_column: str
    score: Mapped
    fields: Mapping[str, Mapped]
    delimiter: str = ","
    # A delivery id is never used again, so a second replay must not repeat those of the first.
    run: str = field(default_factory=lambda: uuid4().hex[:10])

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
        except OSError as error:
            raise MustStop(f"cannot read the mapping {mapping}: {error.strerror}") from None
        except ValueError as error:
            raise MustStop(f"the mapping {mapping} is not TOML: {error}") from None
        except (KeyError, AttributeError, TypeError):
            raise MustStop(
                f"the mapping {mapping} must name id, score and [delivery]; deploy/demo/sample_deliveries.toml is one"
            ) from None
        columns = replay.columns()
        wanted = {replay.id_column, *(m.column for m in (replay.score, *fields.values()) if m.column)}
        if missing := sorted(wanted - set(columns)):
            raise MustStop(f"{file} has no column {', '.join(missing)}; it has {', '.join(columns)}")
        return replay

    def columns(self) -> list[str]:
        """The names in the first line."""
        return next(self._lines())[1]

    def __len__(self) -> int:
        """How many deliveries there are."""
        return sum(1 for _ in self._rows())

    def check(self, now: datetime, most: int | None = None) -> None:
        """Read all lines, or so many, before any is published.

        Raises:
            MustStop: a line does not fit; it is named.
        """
        for _ in islice(self.cases(now), most):
            pass

    def cases(self, now: datetime) -> Iterator[Case]:
        """Every line as a delivery of this moment, in the order of the file.

        Raises:
            MustStop: a line does not fit; it is named.
        """
        first_with: dict[str, int] = {}
        for line, row in self._rows():
            try:
                case = self._case(row, now)
                first = first_with.setdefault(case.address, line)
                if first != line:
                    raise _Unfit(f"{self.id_column} is the same as in line {first}")  # noqa: TRY301
            except (_Unfit, ValidationError, ValueError) as error:
                raise MustStop(
                    f"{self.file} line {line}: {wrong_fields(error) if isinstance(error, ValidationError) else error}"
                ) from None
            yield case

    def _case(self, row: Mapping[str, str], now: datetime) -> Case:
        name = _NOT_AN_IDENTIFIER.sub("_", f"{self.file.stem[:24]}-{self.run}-{row[self.id_column]}")
        address = f"{name}@mottagare.example"
        told = ((fact, how.of(row, fact)) for fact, how in self.fields.items())
        facts = {fact: value for fact, value in told if value is not None}
        delivery = DeliveryCompleted.model_validate(
            {
                "delivery": {"delivery_id": name, "occurred_at": now, **facts},
                "pii": PersonalData(language="sv", channels=(ContactChannel(kind=ChannelKind.EMAIL, address=address),)),
            }
        )
        score = str(self.score.of(row, "score"))
        if score not in map(str, _SCORES):
            raise _Unfit(f"the score is {score!r} instead of 1 to 5")
        return Case(delivery, address, Behaviour(answers=True, score=int(score)))

    def _rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        lines = self._lines()
        _, names = next(lines)
        for number, cells in lines:
            if len(cells) != len(names):
                raise MustStop(f"{self.file} line {number} has {len(cells)} columns instead of {len(names)}")
            yield number, dict(zip(names, cells, strict=True))

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """The names of the columns, then each line that is not empty, with its number."""
        try:
            # utf-8-sig: spreadsheets like to put a byte-order mark in front.
            with self.file.open(encoding="utf-8-sig", newline="") as text:
                reader = csv.reader(text, delimiter=self.delimiter)
                yield 1, next(reader, [])
                yield from ((reader.line_num, cells) for cells in reader if cells)
        except OSError as error:
            raise MustStop(f"cannot read {self.file}: {error.strerror}") from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise MustStop(f"{self.file} is not a CSV file in UTF-8: {error}") from None


def _mapped(how: Any) -> Mapped:
    if isinstance(how, dict):
        return Mapped(column=how["column"], values=how.get("values"))
    return Mapped(fixed=how)
