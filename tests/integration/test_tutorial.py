"""The programs in the tutorial and the guides do what these say."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.cloudevents import ContractError, decode, read_record
from schemas.delivery import DeliveryCompleted, Method
from schemas.topics import CARDS, DELIVERY_COMPLETED
from services.chassis.kafka import make_consumer
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics
from services.chassis.topic_identity import topic_partitions
from services.embedded.jars import cache_folder, locked_jars
from tests.harness import make_topic, producing


def copied(document: Path, folder: Path, language: str = "python") -> Path:
    """The one program of a document in a language, as a reader would copy it."""
    fenced = rf"^```{language}\n(.*?)^```"
    [code] = re.findall(fenced, document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    file = folder / "program.py"
    file.write_text(code, encoding="utf-8")
    return file


@pytest.fixture
def program(repository: Path, tmp_path: Path) -> Path:
    """`send_delivery.py` of the tutorial."""
    return copied(repository / "docs/tutorial.md", tmp_path)


def send(program: Path, settings: Settings, delivery_id: str, method: str) -> None:
    variables = {**os.environ, "KVITTERA_KAFKA_BOOTSTRAP": settings.kafka_bootstrap}
    subprocess.run([sys.executable, program, delivery_id, method], env=variables, check=True, timeout=120)


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


def cell(version: int, scores: list[int]) -> bytes:
    told: dict[str, Any] = {"cut": "merchant.method", "value": "home_day", "start": "2026-10", "as_of": "2026-11-01"}
    return json.dumps({**told, "version": version, "scores": scores, "answers": sum(scores)}).encode()


TOLD = [
    "merchant.method home_day 2026-10: 80% of 10 satisfied, as of 2026-11-01",
    "merchant.method home_day 2026-10: 100% of 20 satisfied, as of 2026-11-01",
    "merchant.method home_day 2026-10: 63% of 8 satisfied, as of 2026-11-01",
    "cell: gone",
]


def python_program(document: Path, folder: Path) -> list[str]:
    """How to start the guide's program in Python."""
    return [sys.executable, str(copied(document, folder))]


def java_program(document: Path, folder: Path) -> list[str]:
    """How to start the guide's program in Java, once it is compiled without a warning; needs a JDK."""
    if shutil.which("javac") is None:
        pytest.skip("no JDK: install one from 17 on")
    file = folder / "PartnerNumbers.java"
    file.write_text(copied(document, folder, "java").read_text(encoding="utf-8"), encoding="utf-8")
    jars = f"{cache_folder(locked_jars())}/*"
    subprocess.run(["javac", "-Xlint:all", "-Werror", "-cp", jars, "-d", folder, file], check=True, timeout=60)
    return ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{jars}:{folder}", "PartnerNumbers"]


@pytest.mark.parametrize("made", [python_program, java_program], ids=["Python", "Java"])
async def test_the_guides_partner_program_keeps_the_highest_version_and_forgets_at_a_tombstone(
    made: Callable[[Path, Path], list[str]], repository: Path, settings: Settings, tmp_path: Path
) -> None:
    program = made(repository / "docs/how-to/read-partner-numbers.md", tmp_path)
    topic = await make_topic(settings)
    async with producing(settings) as producer:
        cells = (
            cell(2, [0, 0, 2, 3, 5]),
            cell(1, [9, 0, 0, 0, 1]),
            cell(3, [0, 0, 0, 5, 15]),
            cell(4, [0, 0, 3, 0, 5]),
        )
        for value in (*cells, None):
            await producer.send_and_wait(topic, value, key=b"cell")
    variables = {**os.environ, "KAFKA_BOOTSTRAP": settings.kafka_bootstrap}
    with subprocess.Popen(
        [*program, topic, f"{topic}.report"], env=variables, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        try:
            told = [running.stdout.readline().strip() for _ in TOLD]
        finally:
            running.kill()
    assert told == TOLD
