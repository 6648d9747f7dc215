"""Revisions of answers and decisions, counted into the cells of a database, and the cells read back."""

import random
import uuid
from datetime import timedelta

import pytest
from msgspec.structs import replace

from services.aggregator.cells.rows import Cells, Difference
from services.aggregator.counting.cuts import load_cuts, read_cuts
from services.aggregator.counting.deltas import COLUMNS
from services.aggregator.counting.reading import Counted, CountedAnswer, CountedDecision, Facts
from services.aggregator.counting.stored_cuts import StoredCuts
from services.aggregator.counting.units import Units
from services.aggregator.counting.windows import unpack, window_start
from services.aggregator.handlers import CountBatch
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from tests.builders import NOON

Table = dict[tuple[str, str, str, str | None], dict[str, int]]


@pytest.fixture
async def pool(pool: Pool) -> Pool:
    async with pool.acquire() as connection:
        await StoredCuts().agree(connection, read_cuts(None))
    return pool


def facts(number: int = 1, **changed: object) -> Facts:
    plain: dict[str, object] = {
        "carrier": "Nordposten Demo",
        "country": "SE",
        "method": "home_day",
        "occurred_at": NOON,
        "zone": "Europe/Stockholm",
        "delivery_id": f"D-{number}",
        "terminal": "Årsta",
    }
    return Facts(**(plain | changed))  # type: ignore[arg-type]


def answer(
    number: int, revision: int, score: int | None, *, contested: bool = False, **changed: object
) -> CountedAnswer:
    return CountedAnswer(
        uuid.UUID(int=number), revision, NOON, facts(number, **changed), score, revision > 1, contested
    )


def decision(number: int, revision: int, outcome: str, **changed: object) -> CountedDecision:
    return CountedDecision("ask", revision, outcome, facts(number, **changed))


def reached(number: int, **changed: object) -> CountedDecision:
    return CountedDecision("reached", 1, "reached", facts(number, **changed))


def opened(number: int, **changed: object) -> CountedAnswer:
    return CountedAnswer(uuid.UUID(int=number), 0, NOON, facts(number, **changed))


async def count(pool: Pool, *counted: Counted, units: Units | None = None) -> None:
    batch = CountBatch(units or Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    async with pool.acquire() as connection, connection.transaction():
        await batch(connection, list(counted))


async def table(pool: Pool) -> Table:
    """All cells that are not zero, by cut, value and window."""
    rows = await pool.fetch(
        "SELECT u.cut, u.value, c.* FROM cell AS c JOIN unit AS u ON u.id = (c.cell >> 32)::int ORDER BY c.cell"
    )
    found = {}
    for row in rows:
        _, window, index = unpack(row["cell"])
        counters = {name: row[name] for name in COLUMNS if row[name]}
        if counters:
            found[row["cut"], row["value"], window.value, window_start(window, index)] = counters
    return found


async def audit(pool: Pool) -> list[Difference]:
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        return await Cells().audit(connection)


async def clear(pool: Pool) -> None:
    await pool.execute("TRUNCATE cell, answer, decision, touched")


def history(seed: int, deliveries: int = 12) -> list[Counted]:
    """Revisions of some answers and decisions, over a change of month and the long night in October."""
    dice = random.Random(seed)
    counted: list[Counted] = []
    for number in range(1, deliveries + 1):
        about = {
            "occurred_at": NOON + timedelta(hours=dice.choice([0, 1, 276, 277, 278, 444])),
            "terminal": dice.choice(["Årsta", "Toftanäs", None]),
            "merchant_id": dice.choice(["fjallbod", None]),
            "zone": dice.choice(["Europe/Stockholm", "Asia/Kathmandu"]),
        }
        counted.append(decision(number, 1, "pending", **about))
        counted.append(decision(number, 2, dice.choice(["asked", "failed"]), **about))
        for revision in range(1, dice.randint(1, 4)):
            score = dice.choice([None, 1, 2, 3, 4, 5])
            said = answer(number, revision, score, contested=dice.random() < 0.2, **about)
            counted.append(replace(said, suspected_machine=dice.random() < 0.1, invited=dice.random() > 0.1))
        if dice.random() < 0.3:
            counted.append(opened(number, **(about | {"terminal": "Luleå"})))
        if dice.random() < 0.5:
            counted.append(reached(number, **about))
    return counted
