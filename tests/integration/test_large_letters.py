"""Guarantee 7: a dead letter that is too large for its topic leaves out what it must, and holds up nobody."""

from aiokafka import ConsumerRecord
from structlog.testing import capture_logs

from services.chassis.deadletter import DeadLetter, pack_headers
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from tests.builders import NOON
from tests.harness import make_topic, read_all, record, until
from tests.relaying import empty, put, relay, running

OWN = [("ce_id", b"\xff"), ("none", None)]
OURS = {
    "kvittera_dlq_reason": b"bad_json",
    "kvittera_dlq_topic": b"delivery.completed.v1",
    "kvittera_dlq_partition": b"0",
    "kvittera_dlq_at": b"2026-10-13T12:00:00+00:00",
    "kvittera_dlq_service": b"notifier",
}
CUT = b"no JSON text; too large to be kept whole"


async def put_aside(pool: Pool, topic: str, offset: int, value: bytes, *, big: bytes = b"") -> None:
    headers = (*OWN, ("big", big)) if big else tuple(OWN)
    letter = DeadLetter(record("delivery.completed.v1", offset, value, headers=headers), "bad_json", "no JSON text")
    await pool.execute(
        "INSERT INTO outbox (shard, topic, key, value, raw_headers) VALUES (0, $1, 'k', $2, $3)",
        topic,
        value,
        pack_headers(letter.headers("notifier", NOON)),
    )


def told(letter: ConsumerRecord) -> dict[str, bytes | None]:
    return {name: value for name, value in letter.headers if name.startswith("kvittera_dlq_")}


async def test_a_dead_letter_that_no_request_can_hold_goes_out_without_its_value_and_holds_up_nobody(
    settings: Settings, notifier_pool: Pool
) -> None:
    topic, grave = await make_topic(settings), await make_topic(settings, config={"max.message.bytes": "8388608"})
    await put_aside(notifier_pool, grave, 17, b"7" * 9_000_000)
    for n in range(30):
        await put(notifier_pool, topic, b"k", b"%d" % n)
    with capture_logs() as lines:
        async with running(relay(settings).run):
            await until(empty(notifier_pool))
    [letter] = await read_all(settings, grave, 1)
    assert (letter.key, letter.value, list(letter.headers[:2])) == (b"k", None, OWN)
    assert told(letter) == OURS | {
        "kvittera_dlq_offset": b"17",
        "kvittera_dlq_detail": CUT,
        "kvittera_dlq_left_out": b"9000000",
    }
    assert [int(r.value) for r in await read_all(settings, topic, 30)] == list(range(30))
    assert [line["action"] for line in lines if line["log_level"] != "info"] == ["leave_out"]


async def test_letters_too_large_together_are_kept_whole_and_one_too_large_alone_leaves_out_what_it_must(
    settings: Settings, notifier_pool: Pool
) -> None:
    grave = await make_topic(settings, config={"max.message.bytes": "100000"})
    for offset in range(3):
        await put_aside(notifier_pool, grave, offset, b"%d" % offset * 40_000)
    await put_aside(notifier_pool, grave, 3, b"7" * 150_000)
    await put_aside(notifier_pool, grave, 4, b"8", big=b"9" * 150_000)
    await put_aside(notifier_pool, grave, 5, b"small")
    with capture_logs() as lines:
        async with running(relay(settings).run):
            await until(empty(notifier_pool))
    assert [line["action"] for line in lines if line["log_level"] != "info"] == ["leave_out"] * 2
    letters = {int(told(x)["kvittera_dlq_offset"] or b""): x for x in await read_all(settings, grave, 6)}
    assert [letters[n].value for n in range(3)] == [b"%d" % n * 40_000 for n in range(3)]
    assert [told(letters[n]).get("kvittera_dlq_left_out") for n in range(4)] == [None, None, None, b"150000"]
    assert (letters[5].value, told(letters[5])["kvittera_dlq_detail"]) == (b"small", b"no JSON text")
    assert (letters[3].key, letters[3].value, list(letters[3].headers[:2])) == (b"k", None, OWN)
    assert (letters[4].key, letters[4].value) == (None, None)
    assert dict(letters[4].headers) == OURS | {
        "kvittera_dlq_offset": b"4",
        "kvittera_dlq_detail": CUT,
        "kvittera_dlq_left_out": b"150015",  # key, value, and the headers' names and values
    }
