"""A log-in and encryption to Kafka, encryption to PostgreSQL: what is not asked for so is let in nowhere."""

import asyncio
import re
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
import uvloop
import yaml
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import CreateAclsRequest
from pydantic import SecretStr

from schemas.topics import CARDS, INVITATION_DECIDED, PERSON_ERASED, RESPONSE_RECORDED
from services.certificates import Authority
from services.chassis.deadletter_drop import Dropping, drop_letters
from services.chassis.failures import MustStop, TryAgain
from services.chassis.kafka import make_client, make_consumer, make_producer
from services.chassis.postgres import connect
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics, compare_topics
from services.doctor.rights import rights
from services.embedded.kafka import EmbeddedKafka
from services.embedded.ports import free_port
from tests.harness import until
from tests.tls import encrypting


@dataclass(frozen=True, slots=True)
class Files:
    """What `kvittera certificates` made."""

    clients: Path
    servers: Path

    @property
    def password(self) -> str:
        return (self.clients / "kafka-password").read_text().strip()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("tls")
    found = Files(folder / "clients", folder / "servers")
    command = [sys.executable, "-m", "services", "certificates", str(found.clients), str(found.servers)]
    subprocess.run([*command, "--kafka", "127.0.0.1", "--postgres", "127.0.0.1"], check=True, timeout=60)
    return found


@pytest.fixture(scope="module")
def broker(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A real broker with the listener of docker-compose.secured.yml."""
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    users = files.servers / "kafka-users.properties"
    listener = "listener.name.secured"
    local = free_port()
    kafka = EmbeddedKafka(
        tmp_path_factory.mktemp("kafka"),
        settings={
            "listeners": f"LOCAL://127.0.0.1:{local},SECURED://127.0.0.1:{{port}},"
            "CONTROLLER://127.0.0.1:{controller_port}",
            "advertised.listeners": f"LOCAL://127.0.0.1:{local},SECURED://127.0.0.1:{{port}}",
            "listener.security.protocol.map": "LOCAL:PLAINTEXT,SECURED:SASL_SSL,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "LOCAL",
            f"{listener}.sasl.enabled.mechanisms": "PLAIN",
            f"{listener}.plain.sasl.jaas.config": f'{login} user_kvittera="${{{{file:{users}:kvittera}}}}"'
            ' user_narrow="narrow" user_guided="guided" user_partner-fjallbod="fjallbod" user_partner-elme="elme";',
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS;User:kvittera",  # between brokers nobody logs in here
            "config.providers": "file",
            "config.providers.file.class": "org.apache.kafka.common.config.provider.FileConfigProvider",
            f"{listener}.ssl.keystore.type": "PEM",
            f"{listener}.ssl.keystore.location": str(files.servers / "kafka.pem"),
        },
    )
    try:
        kafka.start()
        yield kafka
    finally:
        kafka.stop()


@pytest.fixture
async def secured(settings: Settings, files: Files, broker: EmbeddedKafka) -> AsyncIterator[Settings]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.servers / "postgres.crt", files.servers / "postgres.key")
    dsn = settings.postgres_dsn.get_secret_value()
    port = int(dsn.rpartition(":")[2].partition("/")[0])
    async with encrypting(port, context) as encrypted:
        yield settings.model_copy(
            update={
                "kafka_bootstrap": broker.bootstrap,
                "kafka_security": "sasl_ssl",
                "kafka_sasl_mechanism": "PLAIN",
                "kafka_username": "kvittera",
                "kafka_password": SecretStr(files.password),
                "kafka_ca_file": files.clients / "ca.pem",
                "postgres_dsn": SecretStr(
                    re.sub(r"@[^/]+/", f"@127.0.0.1:{encrypted}/", dsn)
                    + f"?sslmode=verify-full&sslrootcert={files.clients / 'ca.pem'}"
                ),
                "boot_patience_seconds": 0.0,
            }
        )


async def test_topics_records_and_rows_go_through_a_log_in_and_encryption(secured: Settings) -> None:
    assert RESPONSE_RECORDED in await apply_topics(secured, tuple(CARDS.values()))
    producer = make_producer(secured, client="secured")
    await producer.start()
    await producer.send_and_wait(RESPONSE_RECORDED, b"{}", key=b"k")
    await producer.stop()
    consumer = make_consumer(secured, group="kvittera-secured", client="secured")
    consumer.subscribe([RESPONSE_RECORDED])
    await consumer.start()
    record = await consumer.getone()
    await consumer.stop()
    connection = await connect(secured, "survey")
    rows = await connection.fetchval("SELECT count(*) FROM response")
    await connection.close()

    assert (record.value, rows) == (b"{}", 0)


async def test_megabytes_at_once_come_through_encryption_on_the_loop_that_services_run_on(secured: Settings) -> None:
    await apply_topics(secured, tuple(CARDS.values()))
    sent = [bytes([number]) * 200_000 for number in range(40)]

    async def send_and_read() -> list[bytes | None]:
        producer = make_producer(secured, client="secured")
        await producer.start()
        for value in sent:
            await producer.send_and_wait(RESPONSE_RECORDED, value, partition=1)
        await producer.stop()
        consumer = make_consumer(secured, group=None, client="secured", max_partition_fetch_bytes=16_000_000)
        partition = TopicPartition(RESPONSE_RECORDED, 1)
        consumer.assign([partition])
        await consumer.start()
        read: list[bytes | None] = []
        async with asyncio.timeout(30):
            while len(read) < len(sent):
                batch = await consumer.getmany(timeout_ms=1_000)
                read += [record.value for record in batch.get(partition, [])]
        await consumer.stop()
        return read

    def on_uvloop() -> list[bytes | None]:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(send_and_read())

    assert await asyncio.to_thread(on_uvloop) == sent


async def test_the_doctor_names_topics_and_groups_that_the_account_may_not_use(secured: Settings) -> None:
    await apply_topics(secured, tuple(CARDS.values()))
    client = make_client(secured)
    await client.bootstrap()
    # As numbers of Kafka's protocol.
    topic, group, literal, prefixed, deny, allow, everything, read, write = 2, 3, 3, 4, 2, 3, 2, 3, 4
    for kind, name, pattern, operation, granted in (
        (topic, "*", literal, everything, allow),
        (topic, RESPONSE_RECORDED, literal, everything, deny),
        (topic, PERSON_ERASED, literal, write, deny),
        (group, "kvittera-", prefixed, read, allow),
        (group, "kvittera-notifier", prefixed, everything, deny),
        (group, "kvittera-aggregator", literal, everything, deny),
    ):
        acl = CreateAclsRequest(kind, name, pattern, "User:narrow", "*", operation, granted)
        [(code, _)] = (await client.send(client.get_random_node(), acl)).creation_responses
        assert code == 0
    await client.close()

    narrow = secured.model_copy(update={"kafka_username": "narrow", "kafka_password": SecretStr("narrow")})

    groups = "kvittera-aggregator, kvittera-notifier, kvittera-notifier-sign-outs"

    async def lacking() -> bool:  # the broker hears of the rules a moment later
        return [f"{f.verdict}: {f.found}" for f in await rights(narrow)] == [
            "ill: this account may not read response.recorded.v1",
            "ill: this account may not write person.erased.v1, response.recorded.v1",
            f"ill: this account may not read in the groups {groups} and 1 more",
        ]

    await until(lacking)
    assert [f.verdict for f in await rights(secured)] == ["well"]


async def test_the_rights_of_the_guide_are_enough_to_make_compare_read_and_write_the_topics(
    secured: Settings, repository: Path
) -> None:
    await apply_topics(secured, tuple(CARDS.values()))
    guide = (repository / "docs/how-to/use-strimzi-and-cloudnativepg.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^```yaml\n(\S+ \S+\nkind: KafkaUser\n.*?)^```", guide, re.MULTILINE | re.DOTALL)
    kinds, operations = {"topic": 2, "group": 3}, {"Read": 3, "Write": 4, "Create": 5, "DescribeConfigs": 10}
    client = make_client(secured)
    await client.bootstrap()
    for acl in yaml.safe_load(block)["spec"]["authorization"]["acls"]:
        kind, name = kinds[acl["resource"]["type"]], acl["resource"]["name"]
        for operation in acl["operations"]:
            granted = CreateAclsRequest(kind, name, 4, "User:guided", "*", operations[operation], 3)
            [(code, _)] = (await client.send(client.get_random_node(), granted)).creation_responses
            assert code == 0
    await client.close()
    guided = secured.model_copy(update={"kafka_username": "guided", "kafka_password": SecretStr("guided")})

    async def enough() -> bool:  # the broker hears of the rules a moment later
        return [f.verdict for f in await rights(guided)] == ["well"]

    await until(enough)
    card = replace(CARDS[RESPONSE_RECORDED], name="response.guided.v1")
    assert await apply_topics(guided, [card]) == [card.name]
    assert await compare_topics(guided, [card]) == []


async def test_letters_are_dropped_only_with_a_right_of_its_own_which_is_asked_for_before_anything_is_given_up(
    secured: Settings,
) -> None:
    grave = f"{INVITATION_DECIDED}.dlq"
    await apply_topics(secured, tuple(CARDS.values()))
    producer = make_producer(secured, client="secured")
    await producer.start()
    await producer.send_and_wait(grave, b"{}", key=b"k")
    await producer.stop()
    client = make_client(secured)
    await client.bootstrap()
    read, write, delete = 3, 4, 6  # as numbers of Kafka's protocol

    async def grant(operation: int) -> None:
        acl = CreateAclsRequest(2, grave, 3, "User:guided", "*", operation, 3)
        [(code, _)] = (await client.send(client.get_random_node(), acl)).creation_responses
        assert code == 0

    given_up: list[Dropping] = []

    async def give_up(dropping: Dropping) -> None:
        given_up.append(dropping)

    guided = secured.model_copy(update={"kafka_username": "guided", "kafka_password": SecretStr("guided")})
    later = datetime.now(UTC) + timedelta(hours=1)
    said: list[str] = []

    async def drops(dry_run: bool) -> bool:  # the broker hears of the rules a moment later
        try:
            dropped = await drop_letters(guided, INVITATION_DECIDED, before=later, dry_run=dry_run, giving_up=give_up)
        except (MustStop, TryAgain, KafkaError) as error:
            said.append(str(error))
            return False
        return dropped == 1

    await grant(read)
    await grant(write)
    await until(lambda: drops(dry_run=True))
    assert not await drops(dry_run=False)
    assert said[-1].startswith(f"this account may not drop records of {grave}: grant it Delete on that topic")
    assert given_up == []

    await grant(delete)
    await until(lambda: drops(dry_run=False))
    await client.close()
    assert len(given_up) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"kafka_password": SecretStr("guessed")},
        {"kafka_username": "somebody"},
        {"kafka_ca_file": None},
        {"kafka_security": "plaintext"},
        {"kafka_security": "ssl"},
    ],
    ids=["wrong password", "wrong name", "unknown authority", "unencrypted", "without log-in"],
)
async def test_kafka_lets_nobody_in_otherwise(secured: Settings, changed: dict[str, object]) -> None:
    producer = make_producer(secured.model_copy(update=changed), client="stranger", request_timeout_ms=2000)
    with pytest.raises((KafkaError, OSError)):
        await producer.start()
    await producer.stop()


@pytest.mark.parametrize("mode", ["disable", "verify-full"])
async def test_postgresql_is_spoken_to_encrypted_and_checked_or_not_at_all(
    secured: Settings, mode: str, tmp_path: Path
) -> None:
    other = tmp_path / "other-ca.pem"
    other.write_text(Authority.new(datetime.now(UTC)).pem)
    dsn = secured.postgres_dsn.get_secret_value().partition("?")[0]
    strange = secured.model_copy(update={"postgres_dsn": SecretStr(f"{dsn}?sslmode={mode}&sslrootcert={other}")})
    with pytest.raises((OSError, asyncpg.PostgresError)):
        await connect(strange, "survey")
