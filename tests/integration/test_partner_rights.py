"""The commands that `kvittera partners` prints, tried at a broker that enforces them: a partner reads its own topic.

The broker that comes with us has no `kafka-acls.sh`, so what it would ask for is asked for here, word for word.
"""

import argparse
import asyncio
import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest
from pydantic import SecretStr

from schemas.partners import partner_topic
from schemas.topics import CARDS, RESPONSE_RECORDED, SATISFACTION_CELLS
from services.chassis.kafka import make_client, make_consumer, make_producer
from services.chassis.settings import PREFIX, Settings
from services.chassis.topic_admin import apply_topics
from services.cli.partners import access
from services.embedded.child import run_child
from services.embedded.kafka import EmbeddedKafka
from tests.harness import until
from tests.integration.test_secured import broker, files, secured

__all__ = ["broker", "files", "secured"]
OURS = (SATISFACTION_CELLS, RESPONSE_RECORDED)
# As numbers of Kafka's protocol.
TOPIC, IN_GROUP, LITERAL, PREFIXED, ALLOW = 2, 3, 3, 4, 3
OPERATIONS = {"Read": 3, "Describe": 8}
HEARD_WITHIN = 1.0
"""Seconds within which a broker on this machine hears of rules."""


async def kvittera(secured: Settings, *words: str) -> list[str]:
    """What a command prints on its standard output."""
    names = ["bootstrap", "security", "sasl_mechanism", "username", "ca_file"]
    variables = {f"{PREFIX}KAFKA_{name.upper()}": str(getattr(secured, f"kafka_{name}")) for name in names}
    secrets = {"KAFKA_PASSWORD": secured.kafka_password, "POSTGRES_DSN": secured.postgres_dsn}
    variables |= {PREFIX + name: secret.get_secret_value() for name, secret in secrets.items()}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services", *words), env={**os.environ, **variables}, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode().splitlines()


def asked_for(line: str) -> list[CreateAclsRequest | DeleteAclsRequest]:
    """What `kafka-acls.sh` asks a broker for; a word that is not known here fails."""
    words = argparse.ArgumentParser(exit_on_error=False)
    words.add_argument("--bootstrap-server", required=True)
    what = words.add_mutually_exclusive_group(required=True)
    what.add_argument("--add", action="store_true")
    what.add_argument("--remove", action="store_true")
    words.add_argument("--force", action="store_true")
    words.add_argument("--allow-principal", required=True)
    words.add_argument("--operation", action="append", required=True)
    on = words.add_mutually_exclusive_group(required=True)
    on.add_argument("--topic")
    on.add_argument("--group")
    words.add_argument("--resource-pattern-type", choices=["literal", "prefixed"], default="literal")
    told = words.parse_args(shlex.split(line)[1:])
    kind, name = (TOPIC, told.topic) if told.topic else (IN_GROUP, told.group)
    pattern = PREFIXED if told.resource_pattern_type == "prefixed" else LITERAL
    request = CreateAclsRequest if told.add else DeleteAclsRequest
    return [
        request(kind, name, pattern, told.allow_principal, "*", OPERATIONS[operation], ALLOW)
        for operation in told.operation
    ]


async def run(secured: Settings, lines: Sequence[str]) -> None:
    """Run printed commands as the keeper of the broker."""
    client = make_client(secured)
    await client.bootstrap()
    acls = [line for line in lines if line.startswith("kafka-acls.sh ")]
    assert len(acls) == 2
    for request in [request for line in acls for request in asked_for(line)]:
        reply = await client.send(client.get_random_node(), request)
        found = reply.creation_responses if isinstance(request, CreateAclsRequest) else reply.filter_responses
        assert [code for code, *_ in found] == [0]
    await client.close()


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner's own program."""

    settings: Settings

    async def read(self, topic: str, group: str | None) -> bytes | None:
        """The first record of a topic, as docs/partners.md reads it. Raises KafkaError where it is refused."""
        consumer = make_consumer(self.settings, group=group, client="partner")
        consumer.subscribe([topic])
        try:
            async with asyncio.timeout(30):
                await consumer.start()
                record = await consumer.getone()
                if group is not None:
                    await consumer.commit()
        finally:
            await consumer.stop()
        value: bytes | None = record.value
        return value

    async def write(self, topic: str) -> None:
        """Raises KafkaError where it is refused."""
        producer = make_producer(self.settings, client="partner", enable_idempotence=False)
        await producer.start()
        try:
            async with asyncio.timeout(30):
                await producer.send_and_wait(topic, b"forged", key=b"k")
        finally:
            await producer.stop()

    async def sees(self) -> set[str]:
        """The topics that Kafka tells it of."""
        client = make_client(self.settings)
        await client.bootstrap()
        try:
            return set((await client.fetch_all_metadata()).topics())
        finally:
            await client.close()


@dataclass(frozen=True, slots=True)
class Registered:
    """A partner, and what `add` printed for it."""

    secured: Settings
    name: str
    lines: Sequence[str]

    @property
    def topic(self) -> str:
        return partner_topic(self.name)

    @property
    def program(self) -> Partner:
        account = {"kafka_username": f"partner-{self.name}", "kafka_password": SecretStr(self.name)}
        return Partner(self.secured.model_copy(update=account))

    async def may_read(self) -> bool:
        try:
            return await self.program.read(self.topic, f"partner-{self.name}.report") == self.topic.encode()
        except KafkaError:
            return False


async def register(secured: Settings, name: str) -> Registered:
    """Let `kvittera partners add` make its topic, and write a record to it and to ours."""
    await apply_topics(secured, tuple(CARDS.values()))
    lines = await kvittera(secured, "partners", "add", name, "--merchant", name)
    producer = make_producer(secured, client="kvittera")
    await producer.start()
    for topic in (partner_topic(name), *OURS):
        await producer.send_and_wait(topic, topic.encode(), key=b"k")
    await producer.stop()
    return Registered(secured, name, lines)


async def test_a_partner_reads_its_own_topic_in_its_own_groups_by_the_printed_commands_and_nothing_else(
    secured: Settings,
) -> None:
    registered, other = await register(secured, "fjallbod"), await register(secured, "annan")
    partner = registered.program
    await run(secured, other.lines)
    await asyncio.sleep(HEARD_WITHIN)
    assert await partner.sees() == set()
    with pytest.raises(TopicAuthorizationFailedError):
        await partner.read(registered.topic, None)

    await run(secured, registered.lines)
    await until(registered.may_read, seconds=20)
    assert await partner.sees() == {registered.topic}
    assert await partner.read(registered.topic, "partner-fjallbod.another") == registered.topic.encode()
    for topic in (other.topic, *OURS):
        for group in ("partner-fjallbod.report", None):
            with pytest.raises(TopicAuthorizationFailedError):
                await partner.read(topic, group)
    for group in ("partner-fjallbod", "partner-fjallbodx.report", "partner-annan.report", "kvittera-aggregator"):
        with pytest.raises(GroupAuthorizationFailedError):
            await partner.read(registered.topic, group)
    for topic in (registered.topic, other.topic, *OURS):
        with pytest.raises(TopicAuthorizationFailedError):
            await partner.write(topic)


def test_kafkas_own_tool_takes_the_printed_limit(broker: EmbeddedKafka, tmp_path: Path) -> None:
    [line] = [
        line for line in access("fjallbod", without_log_in(broker), "--add") if line.startswith("kafka-configs.sh ")
    ]
    words = shlex.split(line)[1:]
    told = tmp_path / "told"
    tool = broker._java("kafka.admin.ConfigCommand", *words)
    assert run_child(tool, log=told, env=broker._environment(), cwd=tmp_path) == 0, told.read_text()
    assert "Completed updating config for user partner-fjallbod" in told.read_text()


def without_log_in(broker: EmbeddedKafka) -> str:
    """Where who keeps the broker reaches it."""
    properties = (broker.folder / "kafka.properties").read_text()
    [found] = re.findall(r"^listeners=LOCAL://([\d.:]+),", properties, re.MULTILINE)
    return str(found)


async def test_the_commands_that_revoke_prints_take_everything_away_again(secured: Settings) -> None:
    registered = await register(secured, "elme")
    await run(secured, registered.lines)
    await until(registered.may_read, seconds=20)
    await run(secured, await kvittera(secured, "partners", "revoke", "elme"))

    async def sees_nothing() -> bool:
        return await registered.program.sees() == set()

    await until(sees_nothing, seconds=20)
    with pytest.raises(TopicAuthorizationFailedError):
        await registered.program.read(registered.topic, None)
    assert not await registered.may_read()
