"""The receipts inbox: kept once, moved forward only, doubts settled, hopeless addresses left alone."""

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import pytest
from starlette.types import ASGIApp

from schemas.invitation import InvitationProgress
from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from services.chassis.persons import PersonKeys
from services.chassis.postgres import Pool, named_sql
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.cli import bounces
from services.notifier import receipt_routes
from services.notifier.channels import Fate, Result
from services.notifier.channels.mail import MailForm, envelope_sender
from services.notifier.channels.receipt_links import ReceiptLinks
from services.notifier.channels.reports import Progress, Report, Reporting
from services.notifier.channels.routed import Provider, Routed, reporting
from services.notifier.erasure import Eraser
from services.notifier.receipts import ReceiptsInbox
from tests.asgi import Reply, ask
from tests.builders import EMAIL, SMS
from tests.channel_kit import KITS, LINKS
from tests.conftest import SEALING_KEY
from tests.returned_mails import returned
from tests.sending import ScriptedChannel, dispatcher, ledger, now, plan, state_of, told, work
from tests.tables import everything_stored, footprint

pytestmark = pytest.mark.service("notifier")

SEAL = Seal(bytes.fromhex(SEALING_KEY))
IN_DOUBT = Result(Fate.IN_DOUBT, "elks_ReadTimeout")
HALF_A_YEAR = timedelta(days=180)


@dataclass
class Place:
    """The inbox over HTTP, as the notifier serves it."""

    app: ASGIApp
    metrics: Metrics

    async def report(self, reference: str, links: ReceiptLinks = LINKS, **form: str) -> Reply:
        url = urlsplit(links.url("elks", reference))
        return await self.post(f"{url.path}?{url.query}", urlencode(form).encode())

    async def post(self, path: str, body: bytes) -> Reply:
        headers = [("content-type", "application/x-www-form-urlencoded")]
        return await ask(self.app, "POST", path, headers=headers, parts=[body])

    def counted(self) -> Counter[str]:
        found = self.metrics.registry.collect()
        samples = [s for m in found if m.name == "kvittera_receipts" for s in m.samples]
        counted: Counter[str] = Counter()
        for sample in samples:
            if sample.name.endswith("_total"):
                counted[sample.labels["result"]] += int(sample.value)
        return counted


@pytest.fixture
def place(pool: Pool) -> Place:
    elks = next(k for k in KITS if k.name == "46elks").make(1, 5)
    metrics = Metrics()
    known: Mapping[str, Reporting] = reporting(Routed([Provider("elks", 1, elks)], metrics), "smtp")
    assert list(known) == ["elks"]

    async def ready() -> str | None:
        return None

    return Place(make_app(receipt_routes.routes(inbox(pool), known, metrics), ready=ready, metrics=metrics), metrics)


def inbox(pool: Pool, metrics: Metrics | None = None) -> ReceiptsInbox:
    return ReceiptsInbox(pool, PersonKeys(SEAL), HALF_A_YEAR, metrics or Metrics())


async def sent(pool: Pool, settings: Settings, script: Sequence[Result] = (Result(Fate.ACCEPTED),)) -> str:
    """A request that was handed over; returns its reference."""
    await plan(pool)
    await work(dispatcher(pool, settings, ScriptedChannel(script)))
    return str(await pool.fetchval("SELECT reference FROM invitation WHERE delivery_id = 'D-0'"))


async def progress(pool: Pool) -> str | None:
    found: str | None = await pool.fetchval("SELECT progress FROM invitation WHERE delivery_id = 'D-0'")
    return found


async def test_a_report_is_kept_once_and_moves_the_message_forward(
    pool: Pool, settings: Settings, place: Place
) -> None:
    reference = await sent(pool, settings)
    for status in ("sent", "delivered", "delivered"):
        assert (await place.report(reference, id="s1", status=status)).status == 204
    assert await progress(pool) == "delivered"
    assert await pool.fetchval("SELECT count(*) FROM receipt") == 2
    assert place.counted() == {"sent": 1, "delivered": 1, "duplicate": 1}
    assert await state_of(pool) == ("accepted", None, 1)
    assert len(await told(pool)) == 2  # the ledger is told nothing new
    rows = await pool.fetch("SELECT key, value FROM outbox WHERE topic = 'invitation.progress.v1'")
    [step] = [InvitationProgress.model_validate_json(r["value"]) for r in rows]
    assert (rows[0]["key"], step.delivery.delivery_id, step.invitation_id) == (b"D-0", "D-0", reference)
    assert (step.step.value, step.channel, step.language) == ("reached", "email", "sv")


async def test_shuffled_reports_end_where_ordered_ones_do(pool: Pool, settings: Settings, place: Place) -> None:
    reference = await sent(pool, settings)
    for n, order in enumerate(itertools.permutations(("created", "sent", "failed", "delivered"))):
        await pool.execute("UPDATE invitation SET progress = NULL")
        for status in order:
            assert (await place.report(reference, id=f"s{n}", status=status)).status == 204
        assert await progress(pool) == "delivered", order
    assert await pool.fetchval("SELECT count(*) FROM receipt") == 24 * 4


async def test_forged_unknown_and_unreadable_reports_write_nothing(
    pool: Pool, settings: Settings, place: Place
) -> None:
    reference = await sent(pool, settings)
    before = await footprint(pool)
    strangers = ReceiptLinks(Seal(b"x" * 32), LINKS.base)
    forged = await place.report(reference, strangers, id="s1", status="delivered")
    nobody = await place.post("/receipts/nobody?ref=x&proof=x", b"id=s1&status=delivered")
    nothing = await place.post("/receipts/elks", b"id=s1&status=delivered")
    assert {(r.status, r.body) for r in (forged, nobody, nothing)} == {(403, forged.body)}
    assert (await place.report(reference, id="s1")).status == 422
    assert (await place.post("/receipts/elks", b"x" * 1_100_000)).status == 413
    assert (await place.report(str(uuid4()), id="s1", status="delivered")).status == 204  # proved, and long gone
    assert (await ask(place.app, "GET", "/receipts/elks?hub.verify_token=")).status == 403
    assert await footprint(pool) == before
    assert place.counted() == {"forged": 2 + 2, "unreadable": 1, "unknown": 1}


async def test_what_was_reported_cannot_be_read_from_the_table(pool: Pool, settings: Settings, place: Place) -> None:
    reference = await sent(pool, settings)
    await place.report(reference, id="s1", status="sent", to="+46701740634")
    assert "701740634" not in await everything_stored(pool)
    async with pool.acquire() as connection:
        row = await connection.fetchrow(
            "SELECT person, r.sealed FROM receipt AS r JOIN invitation USING (invitation_id)"
        )
        assert row is not None
        known = await PersonKeys(SEAL).look_up(connection, [row["person"]])
        box = (await PersonKeys(SEAL).for_closing(connection, known.values()))[row["person"]]
        assert box.open(row["sealed"], "receipt elks s1 sent") == "id=s1&status=sent&to=%2B46701740634"
        await Eraser(PersonKeys(SEAL))(connection, row["person"], now())
    await place.report(reference, id="s1", status="delivered")
    assert await pool.fetchval("SELECT sealed IS NULL FROM receipt WHERE status = 'delivered'")
    assert await pool.fetchval("SELECT wrapped IS NULL FROM person_key")


@pytest.mark.parametrize(
    ("status", "state", "outcome"),
    [
        ("sent", ("accepted", "reported", 1), (3, "asked", "reported")),
        ("failed", ("refused", "undelivered", 1), (3, "failed", "undelivered")),
    ],
)
async def test_a_doubt_is_settled_by_a_report(
    pool: Pool,
    settings: Settings,
    place: Place,
    status: str,
    state: tuple[str, str, int],
    outcome: tuple[int, str, str],
) -> None:
    reference = await sent(pool, settings, [IN_DOUBT])
    sender = dispatcher(pool, settings, ScriptedChannel())
    await sender.sweep.once()
    assert (await state_of(pool))[0] == "in_doubt"
    await place.report(reference, id="s1", status=status)
    await sender.sweep.once()
    assert await state_of(pool) == state
    assert (await told(pool))[-1] == outcome
    assert (await ledger(pool))["pending"] == 0


async def test_a_report_that_comes_before_the_call_is_answered_settles_the_doubt_that_follows(
    pool: Pool, settings: Settings
) -> None:
    async def report_at_once(_: object) -> None:
        reference = str(await pool.fetchval("SELECT reference FROM invitation"))
        assert await inbox(pool).take("elks", Report(reference, "s1", "sent", Progress.SENT, b"")) == "sent"

    await plan(pool)
    sender = dispatcher(pool, settings, ScriptedChannel([IN_DOUBT], before_answer=report_at_once))
    await work(sender)
    await sender.sweep.once()
    assert await state_of(pool) == ("accepted", "reported", 1)


@pytest.mark.parametrize("claimed", [False, True])
async def test_a_message_that_was_refused_for_now_and_is_reported_as_taken_is_not_sent_again(
    pool: Pool, settings: Settings, claimed: bool
) -> None:
    await plan(pool)
    channel = ScriptedChannel([Result(Fate.REFUSED_FOR_NOW, "elks_503"), Result(Fate.ACCEPTED)])
    sender = dispatcher(pool, settings, channel)
    await work(sender)
    await pool.execute("UPDATE invitation SET due_at = clock_timestamp()")
    if claimed:
        await pool.execute("UPDATE invitation SET state = 'claimed'")  # as a version before 0.2 did
    failed = Report(channel.calls[0].reference, "s1", "failed", Progress.UNDELIVERED, b"")
    await inbox(pool).take("elks", failed)  # that does not forbid another attempt
    assert (await state_of(pool))[0] == ("claimed" if claimed else "planned")
    await inbox(pool).take("elks", replace(failed, status="sent", progress=Progress.DELIVERED))
    await work(sender)
    await sender.sweep.once()
    assert len(channel.calls) == 1
    assert await state_of(pool) == ("accepted", "reported", 1)
    assert (await told(pool))[-1] == (2, "asked", "reported")
    assert (await ledger(pool))["asked"] == 1


async def test_a_refused_message_that_is_reported_as_taken_after_the_next_one_left_counts_as_possible_duplicate(
    pool: Pool, settings: Settings
) -> None:
    reference = await sent(pool, settings, [Result(Fate.REFUSED_FOR_NOW, "elks_503"), Result(Fate.ACCEPTED)])
    await pool.execute("UPDATE invitation SET due_at = clock_timestamp()")
    await work(dispatcher(pool, settings, ScriptedChannel()))
    assert await state_of(pool) == ("accepted", None, 2)
    metrics = Metrics()
    failed = Report(reference, "s0", "failed", Progress.UNDELIVERED, b"")
    second = Report(reference, "s2", "delivered", Progress.DELIVERED, b"")
    first = Report(reference, "s1", "sent", Progress.SENT, b"")
    counted = []
    for provider, report in (
        ("elks", failed),  # one that never arrived
        ("elks", second),
        ("elks", second),
        ("elks", first),  # and so two
        ("elks", replace(first, status="delivered", progress=Progress.DELIVERED)),
        ("twilio", second),  # another provider's, whatever its id
    ):
        await inbox(pool, metrics).take(provider, report)
        labels = {"channel": "email"}
        counted.append(metrics.registry.get_sample_value("kvittera_possible_duplicates_total", labels) or 0)
    assert counted == [0, 0, 0, 1, 1, 2]


async def test_in_either_order_an_address_is_good_whose_message_arrived_after_all(
    pool: Pool, settings: Settings
) -> None:
    reference = await sent(pool, settings)
    arrived = Report(reference, "b2", "delivered", Progress.DELIVERED, b"")
    for reports in ((hopeless(reference), arrived), (arrived, hopeless(reference))):
        await pool.execute("DELETE FROM receipt")
        await pool.execute("UPDATE invitation SET progress = NULL")
        for report in reports:
            await inbox(pool).take("mail", report)
        assert await pool.fetchval("SELECT count(*) FROM unreachable") == 0


def hopeless(reference: str) -> Report:
    return Report(reference, "b1", "failed 5.1.1", Progress.UNDELIVERED, b"", "failed 5.1.1", hopeless=True)


async def test_a_hopeless_address_gives_way_to_the_next_one_and_without_one_nobody_is_asked(
    pool: Pool, settings: Settings
) -> None:
    await inbox(pool).take("mail", hopeless(await sent(pool, settings)))
    await plan(pool, 2, channels=(EMAIL, SMS))
    await plan(pool, 3)
    rows = await pool.fetch("SELECT delivery_id, channel FROM invitation ORDER BY delivery_id")
    assert [tuple(r) for r in rows] == [("D-0", "email"), ("D-1", "sms")]
    row = await pool.fetchrow("SELECT reason, next_eligible_at FROM decision WHERE delivery_id = 'D-2'")
    assert row is not None
    assert row["reason"] == "unreachable"
    assert abs(row["next_eligible_at"] - now() - HALF_A_YEAR) < timedelta(minutes=5)
    await pool.execute("UPDATE unreachable SET until = clock_timestamp()")
    await plan(pool, 4)
    assert (await state_of(pool, "D-3"))[0] == "planned"


async def test_a_request_on_its_way_to_a_hopeless_address_is_withheld(pool: Pool, settings: Settings) -> None:
    reference = await sent(pool, settings)
    await plan(pool, 2)
    await inbox(pool).take("mail", hopeless(reference))
    channel = ScriptedChannel()
    await work(dispatcher(pool, settings, channel))
    assert channel.calls == []
    assert await state_of(pool, "D-1") == ("withheld", "unreachable", 0)
    assert (await told(pool, "D-1"))[-1] == (2, "suppressed", "unreachable")


async def test_an_erasure_forgets_that_an_address_is_hopeless(pool: Pool, settings: Settings) -> None:
    await inbox(pool).take("mail", hopeless(await sent(pool, settings)))
    async with pool.acquire() as connection:
        await Eraser(PersonKeys(SEAL))(connection, await connection.fetchval("SELECT person FROM unreachable"), now())
    assert await pool.fetchval("SELECT count(*) FROM unreachable") == 0


async def test_saved_mails_and_maildirs_are_taken_in_once(pool: Pool, settings: Settings, tmp_path: Path) -> None:
    reference = await sent(pool, settings)
    form = MailForm(settings.smtp_sender, "", "smtp", "studs@nordposten.example", ReceiptLinks(SEAL, ""))
    for box in ("new", "cur", "tmp"):
        (tmp_path / "post" / box).mkdir(parents=True)
    (tmp_path / "post/new/1").write_bytes(returned("4.2.2", to=envelope_sender(form, reference)))
    (tmp_path / "post/cur/2:2,S").write_bytes(returned("5.1.1", to=envelope_sender(form, reference)))
    (tmp_path / "post/tmp/3").write_bytes(b"half a mail")
    (tmp_path / "greeting.eml").write_bytes(b"Subject: hej\r\n\r\nHej")
    (tmp_path / "strange.eml").write_bytes(returned("5.1.1", to="studs+1.2@nordposten.example"))
    paths = [tmp_path / "post", tmp_path / "greeting.eml", tmp_path / "strange.eml"]
    assert await bounces._take(settings, paths) == {"undelivered": 2, "no_bounce": 1, "forged": 1}
    assert await bounces._take(settings, paths) == {"duplicate": 2, "no_bounce": 1, "forged": 1}
    assert await progress(pool) == "undelivered"
    assert await pool.fetchval("SELECT reason FROM unreachable") == "failed 5.1.1"


async def test_a_second_report_never_shortens_how_long_an_address_is_left_alone(pool: Pool) -> None:
    marking = named_sql("services.notifier", "receipts.sql")["mark_unreachable"]
    for seconds in (7 * 86_400.0, 60.0):  # the setting became less between the two
        await pool.execute(marking, b"p" * 16, "no_such_address", seconds, uuid4())
    left = await pool.fetchval("SELECT until - clock_timestamp() FROM unreachable")
    assert left > timedelta(days=6)


async def test_a_report_about_a_request_that_was_never_tried_puts_nothing_in_doubt(pool: Pool) -> None:
    await plan(pool)
    doubting = named_sql("services.notifier", "receipts.sql")["doubt_retry"]
    request = await pool.fetchval("SELECT invitation_id FROM invitation")
    await pool.execute(doubting, request)
    assert (await state_of(pool))[0] == "planned"
    await pool.execute("UPDATE invitation SET attempts = 1")
    await pool.execute(doubting, request)
    assert (await state_of(pool))[0] == "in_doubt"
