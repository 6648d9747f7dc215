"""Reading how often each value was given to each further question: in cells, or in a unit over some days."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from schemas.satisfaction import Window
from services.aggregator.calendar import day_number, first_day
from services.aggregator.counting.windows import base_of
from services.chassis.postgres import Database, named_sql

K = TypeVar("K", int, str)
Said = Mapping[str, Mapping[int, int]]
"""How often each value was given to each question; `index` is the sum of the three questions of the index."""
_LAST_HOUR: Final = (1 << 31) - 1
_IN_UNIT: Final = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class FurtherAnswers:
    """Queries over the answers to further questions. What counts in no bin counts here neither."""

    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.aggregator", "questions.sql"))

    async def in_unit(self, connection: Database, cut: str, value: str, first_day: int, last_day: int) -> Said:
        """Of a unit from one day to another, both included; days since 1970."""
        rows = await connection.fetch(self.sql["said_in_unit"], cut, value, first_day * 24, last_day * 24 + 23)
        return gathered((0, r["question"], r["value"], r["answers"]) for r in rows).get(0, {})

    async def in_cells(self, connection: Database, window: Window, cells: Sequence[int]) -> Mapping[int, Said]:
        """Of packed cells of one window, by cell; a cell in which nobody answered any is left out."""
        if not cells:
            return {}
        base = base_of(window)
        places = [(cell & _IN_UNIT) - base for cell in cells]
        rows = await connection.fetch(
            self.sql["said_in_cells"], cells, base, *hours_in(window, min(places), max(places))
        )
        return gathered((r["cell"], r["question"], r["value"], r["answers"]) for r in rows)


def gathered(rows: Iterable[tuple[K, str, int, int]]) -> Mapping[K, Said]:
    """From rows of whose answer, the question, the value and how often it was given, by whose answer it is. Pure."""
    found: dict[K, dict[str, dict[int, int]]] = {}
    for whose, question, value, answers in rows:
        found.setdefault(whose, {}).setdefault(question, {})[value] = answers
    return found


def hours_in(window: Window, first: int, last: int) -> tuple[int, int]:
    """The first and the last hour since 1970 that the windows from one index to another cover. Pure."""
    match window:
        case Window.MINUTE:
            return first // 60, last // 60
        case Window.HOUR:
            return first, last
        case Window.DAY:
            return 24 * first, 24 * last + 23
        case Window.WEEK:  # 1970 began on a Thursday
            return 24 * max(0, 7 * first - 3), 24 * (7 * last + 4) - 1
        case Window.MONTH:
            return 24 * day_number(first_day(first)), 24 * day_number(first_day(last + 1)) - 1
        case _:
            return 0, _LAST_HOUR
