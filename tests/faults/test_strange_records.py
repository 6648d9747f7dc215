"""Records that nobody should send, records that come again, records out of order."""

import asyncio
import os
import random
import sys
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

from aiokafka import ConsumerRecord

from schemas.topics import DELIVERY_COMPLETED, INVITATION_DECIDED, RESPONSE_RECORDED
from services.chassis.deadletter import MARK
from services.chassis.deadletter_store import read_letters
from services.chassis.postgres import connect
from services.demo.people import Case, Town, now
from services.demo.upstream import Upstream
from tests.faults.running_system import RunningSystem
from tests.faults.topics import POISON_KEY, READS
from tests.faults.waiting import until
from tests.harness import producing

_POISON: tuple[tuple[bytes, list[tuple[str, bytes]]], ...] = (
    (b'{"delivery": {', []),
    (b"{}", [("ce_specversion", b"1.0"), ("ce_id", b"\xff\xfe"), ("ce_type", b"x"), ("ce_source", b"/x")]),
    (b'{"token_sha256": "%s", "revision": "two"}' % (b"5e" * 32), [("mine", b"\x00\xff")]),
    (b"x" * (1 << 20), []),
    (b"", []),
)
_CLOCKS_MAY_DIFFER = timedelta(minutes=5)
_DECISIONS = "SELECT count(*) FROM decision"
_TOPICS = (DELIVERY_COMPLETED, INVITATION_DECIDED, RESPONSE_RECORDED)


def _readers(topic: str) -> list[str]:
    return [service for service, topics in READS.items() if topic in topics]


async def _kvittera(system: RunningSystem, *words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services", *words),
        env={**os.environ, **system.variables},
        stdout=asyncio.subprocess.PIPE,
    )
    told, _ = await process.communicate()
    assert process.returncode == 0
    return told.decode()


async def test_poison_between_good_records_is_put_aside_untouched_and_holds_nothing_up(system: RunningSystem) -> None:
    sent: list[tuple[str, int, int, bytes, tuple[tuple[str, bytes], ...]]] = []
    async with system.load(rate=30), producing(system.settings, compression_type="gzip") as producer:
        for _ in range(2):
            await asyncio.sleep(2)
            for topic in _TOPICS:
                for value, headers in _POISON:
                    at = await producer.send_and_wait(topic, value, key=POISON_KEY, headers=headers)
                    sent.append((topic, at.partition, at.offset, value, tuple(headers)))
        await asyncio.sleep(2)
    await system.check()
    for topic in _TOPICS:
        letters = await read_letters(system.settings, topic)
        kept = Counter((x.told["service"], *_place_and_content(x.record, x.told)) for x in letters)
        assert kept == Counter((service, *s) for service in _readers(topic) for s in sent if s[0] == topic)
        assert all(x.told["reason"] != "?" for x in letters)
    assert await system.number("survey", "SELECT count(*) FROM unread_link") == 1


def _place_and_content(
    record: ConsumerRecord, told: dict[str, str]
) -> tuple[str, int, int, bytes, tuple[tuple[str, bytes], ...]]:
    own = tuple((name, value) for name, value in record.headers if not name.startswith(MARK))
    return told["topic"], int(told["partition"]), int(told["offset"]), record.value or b"", own


async def test_dead_letters_are_listed_shown_and_judged_again_after_a_replay(system: RunningSystem) -> None:
    before = {topic: len(await read_letters(system.settings, topic)) for topic in _TOPICS}
    # The test before made them.
    assert before == {topic: 2 * len(_POISON) * len(_readers(topic)) for topic in _TOPICS}
    for topic, told in zip(_TOPICS, await _for_each_topic(system, "list"), strict=True):
        assert f"{before[topic]}  in all" in told
    for topic, told in zip(_TOPICS, await _for_each_topic(system, "show", "--limit", "100"), strict=True):
        assert told.count(f"{topic}/") == before[topic]
    for told in await _for_each_topic(system, "replay"):
        assert f"{len(_POISON)} were sent" in told  # each record once, however often it was refused

    async def refused_again() -> bool:
        after = {topic: len(await read_letters(system.settings, topic)) for topic in _TOPICS}
        return after == {topic: n + len(_POISON) * len(_readers(topic)) for topic, n in before.items()}

    await until(refused_again, "the replayed records to be refused again")
    await system.check()


async def _for_each_topic(system: RunningSystem, word: str, *options: str) -> list[str]:
    return await asyncio.gather(*(_kvittera(system, "dlq", word, topic, *options) for topic in _TOPICS))


async def test_everything_three_times_and_shuffled_sends_nothing_and_changes_no_counter(system: RunningSystem) -> None:
    async with system.load(rate=30):
        await asyncio.sleep(4)
    await system.check()
    cells, messages = await _stored(system)
    dice = random.Random(5)
    async with producing(system.settings) as producer:
        for topic in _TOPICS:
            records = [r for r in await system.topics.read_from_start(topic) if r.key != POISON_KEY] * 3
            dice.shuffle(records)
            for r in records:
                await producer.send(topic, r.value, key=r.key, headers=list(r.headers))
        await producer.flush()

    async def all_read() -> bool:
        return await system.topics.unread() == {}

    await until(all_read, "the repeated records to be read")
    await system.check()
    assert await _stored(system) == (cells, messages)


async def test_a_delivery_from_the_future_waits_among_the_dead_letters_until_it_has_happened(
    system: RunningSystem,
) -> None:
    happens = now() + _CLOCKS_MAY_DIFFER + timedelta(seconds=4)
    upstream = Upstream(system.settings, iter([_at(happens, system.town)]), 0, system.recipients.behaviours)
    await upstream.run(asyncio.Event())
    system.published += 1

    async def letters() -> int:
        return sum(x.told["reason"] == "in_the_future" for x in await read_letters(system.settings, DELIVERY_COMPLETED))

    async def put_aside() -> bool:
        return await letters() == 1

    await until(put_aside, "the delivery to be put aside")
    decided = await system.number("notifier", _DECISIONS)
    await asyncio.sleep((happens - _CLOCKS_MAY_DIFFER - now()).total_seconds() + 0.5)
    await _kvittera(system, "dlq", "replay", DELIVERY_COMPLETED, "--reason", "in_the_future")

    await system.check()
    assert await system.number("notifier", _DECISIONS) == decided + 1
    assert await letters() == 1


def _at(moment: datetime, town: Town) -> Case:
    """An ordinary delivery at the moment."""
    cases = iter(lambda: town.next_case(moment), None)
    case = next(c for c in cases if c.repeats == 1 and c.delivery.pii.channels)
    facts = case.delivery.delivery.model_copy(update={"occurred_at": moment})
    return replace(case, delivery=case.delivery.model_copy(update={"delivery": facts}))


async def _stored(system: RunningSystem) -> tuple[list[tuple[object, ...]], int]:
    aggregator = await connect(system.settings, "aggregator")
    notifier = await connect(system.settings, "notifier")
    try:
        cells = [tuple(r.values()) for r in await aggregator.fetch("SELECT * FROM cell ORDER BY cell")]
        return cells, await notifier.fetchval("SELECT count(*) FROM viewer_message")
    finally:
        await aggregator.close()
        await notifier.close()
