"""What was said while a notifier was away is heard before it sends anything."""

from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer

from schemas.cloudevents import Event, to_headers
from schemas.recipient import PreferenceChanged, PreferenceSource
from schemas.topics import DELIVERY_COMPLETED, PREFERENCE_CHANGED
from services.chassis.postgres import connect
from services.demo.people import Behaviour, Case
from services.demo.upstream import record_of
from tests.builders import delivery
from tests.faults.running_system import RunningSystem
from tests.faults.waiting import until

_DELIVERY = "D-stopped-while-away"
_ADDRESS = "stopped-while-away@mottagare.example"
_OTHERS = 3000
"""So many wishes of others wait to be read before the one that matters."""
_PLANNED = f"SELECT count(*) FROM open_send JOIN invitation USING (invitation_id) WHERE delivery_id = '{_DELIVERY}'"
_WITHHELD = f"SELECT count(*) FROM invitation WHERE delivery_id = '{_DELIVERY}' AND reason = 'opted_out'"
_SENT = f"""
SELECT count(*) FROM viewer_message AS m JOIN invitation AS i ON i.invitation_id = m.reference::uuid
WHERE i.delivery_id = '{_DELIVERY}'
"""


def _stop_of(person_id: str) -> dict[str, object]:
    wish = PreferenceChanged(
        person_id=person_id, revision=1, never=True, source=PreferenceSource.REPLY, changed_at=datetime.now(UTC)
    )
    value = wish.model_dump_json().encode()
    event = Event(id=f"stop-{person_id}", source="/survey", type=PREFERENCE_CHANGED, data=value)
    return {"key": person_id.encode(), "value": value, "headers": to_headers(event)}


async def test_who_said_stop_while_the_notifier_was_away_is_not_asked_when_it_comes_back(system: RunningSystem) -> None:
    notifier = await connect(system.settings, "notifier")
    producer = AIOKafkaProducer(bootstrap_servers=system.settings.kafka_bootstrap)
    await producer.start()
    try:
        await notifier.execute("UPDATE switch SET is_on = false WHERE name = 'sending'")
        channels = ({"kind": "email", "address": _ADDRESS},)
        sent = delivery(channels, "sv", delivery_id=_DELIVERY, occurred_at=datetime.now(UTC))
        await producer.send_and_wait(DELIVERY_COMPLETED, **record_of(Case(sent, _ADDRESS, Behaviour(answers=False))))
        system.published += 1

        async def planned() -> bool:
            return bool(await notifier.fetchval(_PLANNED))

        await until(planned, "the request to be planned")
        system.supervisor.hold("notifier")
        person = await notifier.fetchval("SELECT person FROM invitation WHERE delivery_id = $1", _DELIVERY)
        for n in range(_OTHERS):
            await producer.send(PREFERENCE_CHANGED, **_stop_of(f"{n:032x}"))
        await producer.send_and_wait(PREFERENCE_CHANGED, **_stop_of(person.hex()))
        await producer.flush()
        await notifier.execute("UPDATE switch SET is_on = true WHERE name = 'sending'")
        system.supervisor.release("notifier")

        async def withheld() -> bool:
            return bool(await notifier.fetchval(_WITHHELD)) or bool(await notifier.fetchval(_SENT))

        await until(withheld, "the request to be withheld")
        assert await notifier.fetchval(_SENT) == 0
    finally:
        await notifier.execute("UPDATE switch SET is_on = true WHERE name = 'sending'")
        system.supervisor.release("notifier")
        await producer.stop()
        await notifier.close()
