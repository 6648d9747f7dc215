"""A terminal's and a driver's page over real tables, and who may open them."""

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from services.aggregator.counting.cuts import CutsFile, cut_named, load_cuts, read_cuts
from services.aggregator.counting.reading import CountedAnswer, CountedDecision, Facts
from services.aggregator.counting.stored_cuts import StoredCuts
from services.aggregator.counting.units import Units
from services.aggregator.figures.interventions import Intervention, Ledger
from services.aggregator.figures.months import Months, month_number
from services.aggregator.handlers import CountBatch
from services.aggregator.staff.driver import DriverPages
from services.aggregator.staff.terminal import TerminalPages
from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from services.chassis.postgres import Pool
from services.chassis.staff import Member, Role
from tests.asgi import ask
from tests.members import HeaderGate

pytestmark = pytest.mark.service("aggregator")

NOW = datetime(2026, 10, 20, 15, tzinfo=UTC)
DRIVER = Member("driver-1", "Dag Förare", {"F-17": Role.DRIVER})


class WithDriver(HeaderGate):
    def who(self, connection: HTTPConnection) -> Member | None:
        return DRIVER if connection.headers.get("x-member") == "driver-1" else super().who(connection)


@pytest.fixture
def app(pool: Pool) -> Starlette:
    async def ready() -> str | None:
        return None

    routes: Sequence[Any] = [
        *TerminalPages(pool, lambda: NOW).routes(),
        *DriverPages(pool, WithDriver(), lambda: NOW).routes(),
    ]
    return make_app(routes, ready=ready, metrics=Metrics())


async def count(pool: Pool, at: datetime, *scores: int, terminal: str = "Årsta", driver: str = "F-17") -> None:
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    facts = Facts("Nordposten Demo", "SE", "home_day", at, "Europe/Stockholm", "D", terminal=terminal, driver=driver)
    answers = [CountedAnswer(uuid.uuid4(), 1, at, facts, score) for score in scores]
    async with pool.acquire() as connection, connection.transaction():
        await batch(connection, list(answers))


async def test_a_terminals_page_tells_of_its_own_four_weeks(pool: Pool, app: Starlette) -> None:
    await count(pool, NOW, *[5] * 8, 1, 1)
    await count(pool, NOW - timedelta(days=40), *[1] * 50)
    await count(pool, NOW, *[5] * 90, terminal="Luleå")
    page = await ask(app, "GET", "/terminals/Årsta")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "80\u00a0%" in page.text
    assert "home day" in page.text
    marked = Intervention("lockers", "terminal", "Årsta", NOW.date() - timedelta(days=5))
    async with pool.acquire() as connection:
        await Ledger().add(connection, marked)
    again = (await ask(app, "GET", "/terminals/Årsta")).text
    assert "lockers, from" in again
    assert "Too few answers to compare yet" in again
    assert (await ask(app, "GET", "/terminals/Kiruna")).status == 404
    assert (await ask(app, "GET", "/terminals/\x00")).status == 404


async def test_all_that_a_terminals_page_tells_is_of_the_same_four_weeks(pool: Pool, app: Starlette) -> None:
    the_first, before = NOW - timedelta(days=27), NOW - timedelta(days=28)
    await keep(pool, *[says(5, days=1, follow_ups={"ease": 4}) for _ in range(5)])
    await keep(pool, *[says(5, at=the_first, days=9) for _ in range(6)])
    await keep(pool, *[says(1, at=before, days=1, follow_ups={"ease": 1}) for _ in range(40)])
    page = (await ask(app, "GET", "/terminals/Årsta")).text
    assert "23 September to 20 October" in page
    assert "No difference from all deliveries, 100" in page  # of everything these eleven are all, too
    rows = await further(app)
    # 5 of 5 less 6 of 6: Wilson's 0.566 to 1 and 0.610 to 1
    assert ("Satisfied % of early less late answers", "0", "-43 to 39", "5 early, 6 late") in rows
    assert ("Ease, 1 to 5", "4.0", "4.0 to 4.0", "5, 100\u00a0% found it easy") in rows


async def test_a_terminal_shows_its_ways_of_delivery_however_many_other_terminals_there_are(
    pool: Pool, app: Starlette
) -> None:
    await count(pool, NOW, *[5] * 8, 1, 1)
    await count(pool, NOW, *[1] * 60, terminal="Årsta × B")
    others = "SELECT 'terminal.method', 'A' || n || ' × home_day' FROM generate_series(1, 10000) AS n"
    await pool.execute(f"INSERT INTO unit (cut, value) {others}")
    of_all = "SELECT (id::bigint << 32) + 3221225472, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0"
    await pool.execute(f"INSERT INTO cell {of_all} FROM unit WHERE cut = 'terminal.method' AND value LIKE 'A%'")
    page = (await ask(app, "GET", "/terminals/Årsta")).text
    ways = page.partition('id="methods"')[2].partition("</section>")[0].split("<tr>")[2:]
    assert [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", way) for way in ways] == [["home day", "80", "49–94", "10"]]


async def test_a_terminals_page_tells_of_how_many_reached_and_of_how_many_delivered_answered(
    pool: Pool, app: Starlette
) -> None:
    batch = CountBatch(Units(pool, load_cuts(None)), Metrics(), lambda _, __: None)
    facts = [Facts("N", "SE", "home_day", NOW, "Europe/Stockholm", f"D-{n}", terminal="Årsta") for n in range(20)]
    asked = [CountedDecision("ask", 1, "asked", f) for f in facts[:16]]
    others = [CountedDecision("ask", 1, "suppressed", f, reason="not_sampled") for f in facts[16:]]
    answers = [CountedAnswer(uuid.uuid4(), 1, NOW, f, 5) for f in facts[:6]]
    reached = [CountedDecision("reached", 1, "reached", f) for f in facts[:15]]
    async with pool.acquire() as connection, connection.transaction():
        await batch(connection, [*asked, *others, *reached, *answers])
    page = (await ask(app, "GET", "/terminals/Årsta")).text
    figure = page.split("Response rate, ")[1].split("</div>")[0]
    # 6 of 15 reached, of 20 delivered
    assert figure.startswith("of reached</dt>")
    assert "40\u00a0%" in figure
    assert "n 15. Of delivered 30\u00a0%" in figure


async def keep(pool: Pool, *answers: CountedAnswer, wave: str = "wave") -> None:
    cuts = [cut_named("total"), cut_named("terminal"), cut_named(f"terminal.{wave}")]
    batch = CountBatch(Units(pool, cuts), Metrics(), lambda _, __: None)
    async with pool.acquire() as connection, connection.transaction():
        await StoredCuts().agree(connection, CutsFile(1, cuts))
        await batch(connection, list(answers))


def says(score: int, *, at: datetime = NOW, days: float = 0, revision: int = 1, **changed: Any) -> CountedAnswer:
    facts = Facts("Nordposten Demo", "SE", "home_day", at, "Europe/Stockholm", "D", terminal="Årsta")
    plain = CountedAnswer(uuid.uuid4(), revision, at, facts, score, answered_at=at + timedelta(days=days))
    return replace(plain, **changed)


async def further(app: Starlette) -> list[tuple[str, ...]]:
    """The rows of further figures as the page shows them."""
    page = (await ask(app, "GET", "/terminals/Årsta")).text
    body = page.partition('id="further"')[2].partition("</section>")[0]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in body.split("<tr>")[2:]]
    return [tuple(re.sub(r"<.*?>", "", cell) for cell in row) for row in rows]


async def test_a_terminals_page_tells_what_was_asked_beside_the_faces(pool: Pool, app: Starlette) -> None:
    first = [says(5, follow_ups={"recommend": 9, "ease": 4}) for _ in range(8)]
    index = [says(4, follow_ups={"satisfaction": 9, "expectancy": 9, "ideal": 9}) for _ in range(5)]
    await keep(pool, *first, *index, *[says(1, follow_ups={"recommend": 0}) for _ in range(2)])
    # P 0.8, D 0.2: 60, reach 1.96 * sqrt((1 - 0.36) / 10); the questions of the index alone are no row
    assert (await further(app))[:3] == [
        ("Net promoter score, -100 to 100", "60", "10 to 100", "10"),
        ("Index of ACSI form, 0 to 100", "88.9", "88.9 to 88.9", "5"),
        ("Ease, 1 to 5", "4.0", "4.0 to 4.0", "8, 100\u00a0% found it easy"),
    ]


async def test_further_questions_follow_the_last_revision_and_count_where_the_answer_does(
    pool: Pool, app: Starlette
) -> None:
    asked = [says(5, follow_ups={"ease": 5}) for _ in range(9)]
    await keep(pool, *asked)
    await keep(pool, replace(asked[0], follow_ups={"ease": 1, "courtesy": 2}, revision=2))
    await keep(pool, replace(asked[0], follow_ups={"ease": 3}))  # an older revision changes nothing
    await keep(
        pool,
        replace(asked[1], revision=2, contested=True),
        replace(asked[2], revision=2, suspected_machine=True),
        replace(asked[3], revision=2, follow_ups={}),
    )
    [ease, courtesy, *_] = await further(app)
    assert ease[:2] == ("Ease, 1 to 5", "4.3")  # 1 and five times 5
    assert courtesy == ("Courtesy, 1 to 5", "Too few answers (fewer than 5)")
    assert await pool.fetchval("SELECT count(*) FROM question") == 8


async def test_a_terminals_page_tells_why_nobody_was_asked_where_that_is_counted(pool: Pool, app: Starlette) -> None:
    def decided(number: int, reason: str | None, at: datetime = NOW, terminal: str = "Årsta") -> CountedDecision:
        facts = Facts("Nordposten Demo", "SE", "home_day", at, "Europe/Stockholm", f"D-{number}", terminal=terminal)
        return CountedDecision("ask", 1, "suppressed" if reason else "asked", facts, reason=reason)

    decisions = [decided(n, "opted_out") for n in range(3)] + [decided(n, None) for n in range(3, 13)]
    decisions += [decided(20, "opted_out", NOW - timedelta(days=40)), decided(21, "too_old", terminal="Årsta × B")]
    withheld = CountedDecision("ask", 2, "suppressed", decisions[3].delivery, reason="opted_out")
    built_in = read_cuts(None)
    batch = CountBatch(Units(pool, built_in.cuts), Metrics(), lambda _, __: None)
    async with pool.acquire() as connection:
        await StoredCuts().agree(connection, built_in)
        for told in (decisions, [withheld]):
            async with connection.transaction():
                await batch(connection, [*told])
    page = (await ask(app, "GET", "/terminals/Årsta")).text
    rows = page.partition('id="not-asked"')[2].partition("</section>")[0].split("<tr>")[2:]
    assert [tuple(re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)) for row in rows] == [
        ("opted out", "3", "23\u00a0%"),
        ("planned first, withheld later", "1", "8\u00a0%"),
    ]
    await pool.execute("DELETE FROM counted_cut WHERE cut = 'terminal.reason'")
    assert "not-asked" not in (await ask(app, "GET", "/terminals/Årsta")).text


@pytest.mark.parametrize(("wave", "days"), [("wave", 3), ("wave_5", 5)])
async def test_early_and_late_answers_stand_beside_each_other_where_they_are_counted(
    pool: Pool, app: Starlette, wave: str, days: int
) -> None:
    early = [says(5, days=days) for _ in range(6)]
    await keep(pool, *early, *[says(1, days=days + 0.1) for _ in range(4)], wave=wave)
    contrast = "Satisfied % of early less late answers"
    assert (contrast, "Too few answers (fewer than 5)") in await further(app)
    await keep(pool, says(5, days=9), wave=wave)
    # 6 of 6 less 1 of 5: 0.8, Newcombe's interval of Wilson's 0.610 to 1 and 0.036 to 0.624
    assert (contrast, "80", "22 to 96", "6 early, 5 late") in await further(app)


async def test_only_the_driver_opens_the_drivers_page(pool: Pool, app: Starlette) -> None:
    september = datetime(2026, 9, 1, 12, tzinfo=UTC)
    for day in range(5):
        await count(pool, september + timedelta(days=day), 1, 5, 5)
    await count(pool, NOW, 1, 1, 1, 5, 4)
    await count(pool, NOW, 5, 5, 5, driver="F-18")
    async with pool.acquire() as connection:
        await Months(9).close(connection, month_number("2026-09"), NOW)
    assert (await ask(app, "GET", "/drivers/me")).status == 401
    assert (await ask(app, "GET", "/drivers/me", headers=[("x-member", "lead-1")])).status == 403
    page = (await ask(app, "GET", "/drivers/me", headers=[("x-member", "driver-1")])).text
    assert '<dd class="lead">2</dd>' in page
    assert "September 2026" in page
    assert "67\u00a0%" in page
    assert "33\u00a0%" in page
