"""PostgreSQL and Kafka as child processes: their data stays, their ports stay, and no process is left over."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from services.embedded.errors import EmbeddedError
from services.embedded.jars import cache_folder, locked_jars
from services.embedded.kafka import EmbeddedKafka
from services.embedded.kafka_config import FEATURE_LEVELS, LOG_SETTINGS, archive_in
from services.embedded.processes import children_of, is_running
from services.embedded.servers import Servers, running_servers

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with running_servers(tmp_path_factory.mktemp("servers"), fsync=False) as servers:
        yield servers


async def write_to_both(servers: Servers, topic: str, count: int) -> None:
    connection = await asyncpg.connect(servers.postgres.dsn())
    await connection.execute(f"CREATE TABLE {topic} AS SELECT generate_series(1, {count})")
    await connection.close()
    admin = AIOKafkaAdminClient(bootstrap_servers=servers.kafka.bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=servers.kafka.bootstrap, acks="all")
    await producer.start()
    for number in range(count):
        await producer.send_and_wait(topic, str(number).encode())
    await producer.stop()


async def counts_in_both(servers: Servers, topic: str) -> tuple[int, int]:
    connection = await asyncpg.connect(servers.postgres.dsn())
    rows: int = await connection.fetchval(f"SELECT count(*) FROM {topic}")
    await connection.close()
    consumer = AIOKafkaConsumer(bootstrap_servers=servers.kafka.bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    end = (await consumer.end_offsets([partition]))[partition]
    records = [await asyncio.wait_for(consumer.getone(), 90) for _ in range(end)]
    await consumer.stop()
    return rows, len(records)


async def test_the_next_start_in_a_folder_finds_data_and_ports_again_and_fresh_wipes_it(tmp_path: Path) -> None:
    with running_servers(tmp_path) as first:
        await write_to_both(first, "kept", 20)
        addresses = first.postgres.dsn(), first.kafka.bootstrap

    with running_servers(tmp_path) as second:
        assert await counts_in_both(second, "kept") == (20, 20)
        assert (second.postgres.dsn(), second.kafka.bootstrap) == addresses

    with running_servers(tmp_path, fresh=True) as third:
        connection = await asyncpg.connect(third.postgres.dsn())
        assert await connection.fetchval("SELECT to_regclass('kept')") is None
        await connection.close()
        admin = AIOKafkaAdminClient(bootstrap_servers=third.kafka.bootstrap)
        await admin.start()
        assert "kept" not in await admin.list_topics()
        await admin.close()


async def test_killed_servers_come_back_on_their_ports_with_all_they_confirmed(servers: Servers) -> None:
    await write_to_both(servers, "survived", 50)
    addresses = servers.postgres.dsn(), servers.kafka.bootstrap
    pids = [servers.postgres.pid, servers.kafka.pid, *children_of(servers.postgres.pid)]
    assert len(pids) > 4  # the postmaster has processes of its own

    servers.kafka.kill()
    servers.postgres.kill()
    assert not [pid for pid in pids if is_running(pid)]
    servers.kafka.start()
    servers.postgres.start()

    assert (servers.postgres.dsn(), servers.kafka.bootstrap) == addresses
    assert await counts_in_both(servers, "survived") == (50, 50)


def test_a_second_start_in_the_folder_names_the_process_that_holds_it(servers: Servers) -> None:
    folder = servers.postgres.folder.parent

    with (
        pytest.raises(EmbeddedError, match=rf"Process {os.getpid()} already runs in .*: end it, or choose"),
        running_servers(folder),
    ):
        pass


def test_two_folders_run_side_by_side_and_only_this_machine_can_connect(servers: Servers) -> None:
    ports = {servers.postgres.port, servers.kafka.port}

    assert len(ports) == 2
    for port in ports:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5)  # a wildcard listener would answer


def test_a_port_taken_while_a_server_was_down_is_named(servers: Servers) -> None:
    servers.postgres.stop()
    with (
        socket.create_server(("127.0.0.1", servers.postgres.port)),
        pytest.raises(EmbeddedError, match=rf"took port {servers.postgres.port} while PostgreSQL was down"),
    ):
        servers.postgres.start()
    servers.postgres.start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process has mapped")
def test_the_archive_that_make_test_makes_is_what_the_broker_starts_from(servers: Servers) -> None:
    archive = archive_in(cache_folder(locked_jars()))

    mapped = Path(f"/proc/{servers.kafka.pid}/maps").read_text(encoding="utf-8")

    assert (str(archive) in mapped) == archive.exists()


def test_a_folder_is_formatted_as_the_tool_of_this_kafka_formats_it(servers: Servers, tmp_path: Path) -> None:
    by_tool, by_us = EmbeddedKafka(tmp_path / "by-tool"), EmbeddedKafka(tmp_path / "by-us")
    by_us.prepare()
    by_tool.folder.mkdir()
    by_tool._jars = servers.kafka._jars
    (by_tool.folder / "kafka-log4j2.properties").write_text(LOG_SETTINGS)
    by_tool._format_with_tool()

    names, told, levels = zip(*(_formatted(kafka) for kafka in (by_tool, by_us)), strict=True)

    assert not (by_us.folder / "kafka-format.log").exists(), "the tool was not run"
    assert names[0] == names[1]
    assert told[0] == told[1]
    # Between batches stand checksums and moments; the names and numbers of the levels are the same.
    assert levels[0] == levels[1]
    assert len(levels[0]) > 3


def _formatted(kafka: EmbeddedKafka) -> tuple[set[str], dict[str, int], list[bytes]]:
    """The names of the files, how long each property is, and the levels."""
    told = re.findall(r"^([^#=]+)=(.+)$", (kafka._data / "meta.properties").read_text(), re.MULTILINE)
    levels = re.findall(rb"[a-z.]{8,}.{2}", (kafka._data / FEATURE_LEVELS).read_bytes(), re.DOTALL)
    return {file.name for file in kafka._data.iterdir()}, {name: len(value) for name, value in told}, levels


def test_postgres_has_its_programs_beside_it(servers: Servers) -> None:
    for program in ("psql", "pg_dump", "pgbench"):
        assert os.access(servers.postgres.binary(program), os.X_OK)


HOST = """
import sys, time
from pathlib import Path
from services.embedded.processes import children_of
from services.embedded.servers import running_servers

with running_servers(Path(sys.argv[1]), fsync=False) as servers:
    postmaster = servers.postgres.pid
    print(servers.kafka.pid, postmaster, *children_of(postmaster), flush=True)
    time.sleep(300)
"""


def test_a_parent_killed_at_once_leaves_no_process_and_the_next_start_works(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOST, tmp_path], cwd=ROOT, stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        pids = [int(pid) for pid in host.stdout.readline().split()]
        assert len(pids) > 4
        assert all(is_running(pid) for pid in pids)
        host.send_signal(signal.SIGKILL)

    with running_servers(tmp_path, fsync=False):  # at once: it waits for the old postmaster to end by itself
        assert not [pid for pid in pids if is_running(pid)]
