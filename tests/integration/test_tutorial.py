"""The tutorial's program does what the tutorial says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.cloudevents import ContractError, decode, read_record
from schemas.delivery import DeliveryCompleted, Method
from schemas.topics import CARDS, DELIVERY_COMPLETED
from services.chassis.kafka import make_consumer
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics
from services.chassis.topic_identity import topic_partitions


@pytest.fixture
def program(repository: Path, tmp_path: Path) -> Path:
    """`send_delivery.py`, as a reader would copy it."""
    text = (repository / "docs/tutorial.md").read_text(encoding="utf-8")
    [code] = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    file = tmp_path / "send_delivery.py"
    file.write_text(code, encoding="utf-8")
    return file


def send(program: Path, settings: Settings, delivery_id: str, method: str) -> None:
    variables = {**os.environ, "KVITTERA_KAFKA_BOOTSTRAP": settings.kafka_bootstrap}
    subprocess.run([sys.executable, program, delivery_id, method], env=variables, check=True, timeout=30)


async def read(settings: Settings, delivery_id: str) -> DeliveryCompleted:
    """The newest record with this key."""
    parts = await topic_partitions(settings, DELIVERY_COMPLETED)
    consumer = make_consumer(settings, group=None, client="tutorial")
    await consumer.start()
    try:
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        async for record in consumer:
            if record.key == delivery_id.encode():
                return decode(DeliveryCompleted, read_record(record.value, record.headers, record.key))
    finally:
        await consumer.stop()
    raise AssertionError("the topic ended")


async def test_the_tutorials_program_publishes_a_delivery_that_keeps_the_contract(
    program: Path, settings: Settings
) -> None:
    await apply_topics(settings, tuple(CARDS.values()))
    send(program, settings, "TUTORIAL-1", "home_day")

    received = await read(settings, "TUTORIAL-1")

    assert received.delivery.method is Method.HOME_DAY
    assert [channel.address for channel in received.pii.channels] == ["astrid.exempel@brevlada.example"]


async def test_the_tutorials_bad_record_breaks_the_contract_where_the_tutorial_says(
    program: Path, settings: Settings
) -> None:
    await apply_topics(settings, tuple(CARDS.values()))
    send(program, settings, "TUTORIAL-2", "by_drone")

    with pytest.raises(ContractError) as error:
        await read(settings, "TUTORIAL-2")

    assert error.value.reason == "schema"
    assert error.value.detail.startswith("delivery.method")
