"""A cut that is still being built holds a part of its history: nobody is told of it before the switch."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from starlette.applications import Starlette

from services.aggregator.counting.cuts import read_cuts
from services.aggregator.counting.stored_cuts import StoredCuts
from services.aggregator.digests.routes import Digests
from services.aggregator.figures.interventions import Intervention, Ledger
from services.aggregator.live.scope import Scope
from services.chassis.failures import MustStop
from services.chassis.postgres import Pool
from tests.asgi import Reply, ask
from tests.integration.test_live_scopes import NOW as MIDNIGHT
from tests.integration.test_live_scopes import count as count_live
from tests.integration.test_live_scopes import look as look_live
from tests.integration.test_stored_figures import look, usual_months
from tests.terminal_answers import NOW, app, count

__all__ = ["app"]

pytestmark = [
    pytest.mark.service("aggregator"),
    pytest.mark.parametrize(("state", "is_shown"), [("building", False), ("built", False), ("leaving", True)]),
]


async def terminals_are(pool: Pool, state: str) -> None:
    async with pool.acquire() as connection:
        await StoredCuts().agree(connection, read_cuts(None))
    await pool.execute("UPDATE counted_cut SET state = $1 WHERE cut = 'terminal'", state)


async def test_no_alarm_is_raised_by_it(pool: Pool, state: str, is_shown: bool) -> None:
    await terminals_are(pool, state)
    await usual_months(pool)
    await count(pool, "Luleå", NOW, 10, 12)
    assert [a.value for a in await look(pool)] == ["Luleå"] * is_shown


async def test_it_is_in_no_month_that_is_open(pool: Pool, app: Starlette, state: str, is_shown: bool) -> None:
    await terminals_are(pool, state)
    await count(pool, "Luleå", NOW, 3, 4)

    async def asked(cut: str) -> Reply:
        return await ask(app, "GET", f"/api/months/2026-10?cut={cut}")

    assert [c["answers"] for c in (await asked("total")).json["cells"]] == [7]
    terminals = await asked("terminal")
    if is_shown:
        assert [(c["value"], c["answers"]) for c in terminals.json["cells"]] == [("Luleå", 7)]
    else:
        assert (terminals.status, terminals.json["title"]) == (404, "Not counted")
    assert (await asked("postcode_prefix")).status == 404
    await pool.execute("DELETE FROM cell")
    assert (await asked("total")).json["cells"] == []


async def test_no_digest_is_made_of_it(pool: Pool, state: str, is_shown: bool) -> None:
    await terminals_are(pool, state)
    await count(pool, "Luleå", NOW, 3, 4)
    async with pool.acquire() as connection:
        if is_shown:
            await Digests().of(connection, "terminal", "Luleå", NOW.date())
        else:
            with pytest.raises(MustStop, match=r"no delivery was counted of terminal 'Luleå'$"):
                await Digests().of(connection, "terminal", "Luleå", NOW.date())


async def test_no_intervention_is_judged_by_it(pool: Pool, state: str, is_shown: bool) -> None:
    await terminals_are(pool, state)
    for terminal in ("Luleå", "Årsta"):
        for days in (-1, 0):
            await count(pool, terminal, NOW + timedelta(days=days), 30, 10)
    marked = Intervention("evening delivery", "terminal", "Luleå", NOW.date())
    async with pool.acquire() as connection:
        told = await Ledger().told(connection, marked, 5)
    assert told["too_few"] is not is_shown


async def test_the_live_page_has_no_rows_of_it(pool: Pool, state: str, is_shown: bool) -> None:
    await terminals_are(pool, state)
    await count_live(pool, MIDNIGHT, "home_day", 9, 1)
    await count_live(pool, MIDNIGHT - timedelta(days=1), "home_day", 9, 1)
    [seen] = await look_live(pool, Scope())
    assert seen["figures"]["answers"] == 10
    assert _rows(seen["terminals"]["shown"]) == [("Årsta", 10)] * is_shown
    assert ("Årsta" in str(seen["past"])) is is_shown


def _rows(shown: Sequence[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(r["value"], r["answers"]) for r in shown]
