"""Durable answers per second of the survey's POST, beside pgbench with the same two inserts.

Closed loop: 64 connections, each sends its next answer when it has the last one's 200. The load generator is
a Python process on the same two cores and costs about as much as the server; pgbench's costs less.
"""

import asyncio
import base64
import os
import re
import statistics
import subprocess
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg

from services.chassis.postgres import connect
from services.chassis.sealing import Seal
from services.embedded.kafka import EmbeddedKafka
from services.embedded.postgres import EmbeddedPostgres
from services.survey.responses import token_hash
from tests.benchmarks.machine import cpu_seconds
from tests.benchmarks.system import SEALING_KEY, prepare, running, settings_of, variables

_CLIENTS = 64
_MOST_PER_SECOND = 15_000
_DELIVERY = (
    '{"delivery_id":"D-1","carrier":"Nordposten Demo","merchant_id":"fjallbod","merchant_name":"Fjällbod",'
    '"terminal":"Årsta","route":"Rutt 14","driver":"driver-14","country":"SE","postcode_prefix":"12",'
    '"method":"home_day","occurred_at":"2026-11-22T10:00:00+00:00","zone":"Europe/Stockholm"}'
)
# The same two inserts as services/survey/sql/queries.sql makes for a first answer, a transaction each.
_PGBENCH = """
\\set n random(1, 1000000000)
WITH kept AS (
  INSERT INTO bench_response (response_id, revision, score, channel, language, answered_at, changed_at, tried)
  VALUES (gen_random_uuid(), 1, 4, 'web', 'sv', now(), now(),
          ARRAY['\\x000102030405060708090a0b0c0d0e0f00000001'::bytea])
  RETURNING *
)
INSERT INTO outbox (shard, topic, key, value, traceparent)
SELECT :n & 3, 'response.recorded.v1', convert_to(response_id::text, 'UTF8'),
       convert_to(json_build_object(
           'response_id', response_id, 'revision', revision, 'invitation_id', response_id, 'invited', true,
           'score', score, 'reasons', '{}'::text[], 'follow_ups', '{}'::jsonb, 'commented', false, 'contested', false,
           'wants_contact', false, 'rated', rated, 'suspected_machine', suspected_machine, 'channel', channel,
           'language', language, 'survey', 'home.v1', 'answered_at', answered_at, 'recorded_at', clock_timestamp(),
           'delivery', '{delivery}'::json
       )::text, 'UTF8'), NULL
FROM kept;
""".replace("{delivery}", _DELIVERY)


async def measure_posts(
    postgres: EmbeddedPostgres, kafka: EmbeddedKafka, folder: Path, seconds: float, rounds: int
) -> dict[str, object]:
    """Interleave rounds of ours and pgbench; medians and the ratio."""
    environment = variables(postgres, kafka, KVITTERA_OUTBOX_KEEP_HOURS="1")
    settings = settings_of(environment)
    await prepare(settings)
    connection = await connect(settings, "survey")
    await connection.execute("CREATE TABLE bench_response (LIKE response INCLUDING ALL)")
    ours, theirs, latencies, cpu = [], [], [], []
    print(f"durable answers per second, {_CLIENTS} clients, {seconds:g} s a round")
    for n in range(rounds):
        tokens = await _invite(connection, int(seconds * _MOST_PER_SECOND))
        async with running("survey", environment, folder / "survey.log") as (process, port):
            before = cpu_seconds(process.pid)
            done, spent = await _post_for(port, tokens, seconds)
            cpu.append((cpu_seconds(process.pid) - before) / max(1, len(done)) * 1e6)
            ours.append(len(done) / spent)
            latencies += done
        assert await connection.fetchval("SELECT count(*) FROM response") >= len(done), (
            "an acknowledged answer is missing"
        )
        theirs.append(_pgbench(postgres, folder, seconds))
        print(
            f"  round {n + 1}: ours {ours[-1]:,.0f}/s   pgbench {theirs[-1]:,.0f}/s   ratio {ours[-1] / theirs[-1]:.2f}"
        )
        await connection.execute("TRUNCATE response, invitation, bench_response; TRUNCATE outbox")
    await connection.close()
    latencies.sort()
    ratio = statistics.median(o / t for o, t in zip(ours, theirs, strict=True))
    p50, p99 = (latencies[int(len(latencies) * q)] * 1000 for q in (0.5, 0.99))
    server = statistics.median(cpu)
    print(f"  median ratio {ratio:.2f}; p50 {p50:.1f} ms, p99 {p99:.1f} ms; server {server:.0f} us CPU an answer\n")
    return {"ours": ours, "pgbench": theirs, "ratio": ratio, "p50_ms": p50, "p99_ms": p99, "server_cpu_us": cpu}


async def _invite(connection: asyncpg.Connection, count: int) -> list[str]:
    tokens = [base64.urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode() for _ in range(count)]
    expires = datetime.now(UTC) + timedelta(days=1)
    await connection.copy_records_to_table(
        "invitation",
        records=[
            (token_hash(t), uuid.uuid4(), expires, "sms", "sv", "delivery.v1", "Nordposten Demo", _DELIVERY)
            for t in tokens
        ],
        columns=["token_sha256", "invitation_id", "expires_at", "channel", "language", "survey", "brand", "delivery"],
    )
    await connection.execute("ANALYZE invitation")
    return tokens


def _requests(sealing_key: str, tokens: list[str]) -> list[bytes]:
    seal = Seal(bytes.fromhex(sealing_key))
    made = []
    for token in tokens:
        nonce = base64.urlsafe_b64encode(seal.pseudonym(f"page {token}")[:12]).decode()
        body = f"nonce={nonce}&lang=sv&score=4".encode()
        made.append(
            f"POST /r/{token} HTTP/1.1\r\nhost: x\r\naccept: application/json\r\nidempotency-key: {token[:12]}-1\r\n"
            "content-type: application/x-www-form-urlencoded;charset=UTF-8\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
    return made


async def _post_for(port: int, tokens: list[str], seconds: float) -> tuple[list[float], float]:
    """Latencies of all answers that got 200, and the time it took."""
    waiting = iter(_requests(SEALING_KEY, tokens))
    done: list[float] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < end and (request := next(waiting, None)) is not None:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = re.search(rb"content-length: (\d+)", head)
            assert length is not None
            await reader.readexactly(int(length.group(1)))
            done.append(time.perf_counter() - began)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(_CLIENTS)))
    return done, time.perf_counter() - started


def _pgbench(postgres: EmbeddedPostgres, folder: Path, seconds: float) -> float:
    script = folder / "two_inserts.sql"
    script.write_text(_PGBENCH)
    how = ["-n", "-M", "prepared", "-c", str(_CLIENTS), "-j", "2", "-T", str(max(1, round(seconds)))]
    result = subprocess.run(
        [postgres.binary("pgbench"), *how, "-f", script, postgres.dsn()],
        env={**os.environ, "PGOPTIONS": "-c search_path=survey"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"tps = ([\d.]+)", result.stdout)
    assert found is not None, result.stdout
    return float(found.group(1))
