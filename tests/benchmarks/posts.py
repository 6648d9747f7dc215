"""Durable answers per second of the survey's first tap, beside pgbench with the same two inserts.

Closed loop: each connection sends its next answer when it has the last one's reply. While ours runs, the
service's relay moves every outbox row to Kafka in the same process; pgbench has no relay.
"""

import os
import re
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg

from services.chassis.postgres import connect
from services.embedded.kafka import EmbeddedKafka
from services.embedded.postgres import EmbeddedPostgres
from tests.benchmarks.invitations import DELIVERY, check_kept, forget_all, invite
from tests.benchmarks.load import closed_loop, quantile
from tests.benchmarks.machine import cpu_seconds, family_cpu_seconds
from tests.benchmarks.system import prepare, running, settings_of, variables

_MOST_PER_SECOND = 15_000
_ALL_CONNECTED = 4
"""Seconds that pgbench runs at least: its figure counts from when all its clients are connected."""
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
""".replace("{delivery}", DELIVERY)


async def measure_posts(
    postgres: EmbeddedPostgres, kafka: EmbeddedKafka, folder: Path, seconds: float, rounds: int, clients: Sequence[int]
) -> dict[str, Any]:
    """Interleave rounds of ours and pgbench; medians and the ratio, by number of clients."""
    environment = variables(postgres, kafka, KVITTERA_OUTBOX_KEEP_HOURS="1", KVITTERA_SURVEY_FOLLOW_UP="false")
    settings = settings_of(environment)
    await prepare(settings)
    connection = await connect(settings, "survey", command_timeout=300)
    await connection.execute("CREATE TABLE bench_response (LIKE response INCLUDING ALL)")
    print(f"durable answers per second, {rounds} rounds of {seconds:g} s")
    found: dict[int, list[dict[str, float]]] = {count: [] for count in clients}
    # What has just started is still compiled and planned: one round counts for nothing.
    await _round(postgres, connection, environment, folder, clients[-1], seconds)
    for _ in range(rounds):
        for count in clients:
            one = await _round(postgres, connection, environment, folder, count, seconds)
            one["pgbench"] = _pgbench(postgres, folder, count, seconds)
            one["ratio"] = one["ours"] / one["pgbench"]
            await connection.execute("TRUNCATE bench_response; TRUNCATE outbox, outbox_waiting")
            found[count].append(one)
            print(f"    {count} clients: {one['ours']:,.0f}/s beside {one['pgbench']:,.0f}/s", flush=True)
    await connection.close()
    return {str(count): _summary(count, measured) for count, measured in found.items()}


async def _round(
    postgres: EmbeddedPostgres,
    connection: asyncpg.Connection,
    environment: dict[str, str],
    folder: Path,
    clients: int,
    seconds: float,
) -> dict[str, float]:
    invited = await invite(connection, int(seconds * _MOST_PER_SECOND))
    taps = invited.taps()
    async with running("survey", environment, folder / "survey.log") as (process, port):
        server, database, own = cpu_seconds(process.pid), family_cpu_seconds(postgres.pid), time.process_time()
        started = time.perf_counter()
        replies = await closed_loop(port, taps, clients, seconds)
        spent = time.perf_counter() - started
        own = time.process_time() - own
        server, database = cpu_seconds(process.pid) - server, family_cpu_seconds(postgres.pid) - database
    assert all(r.status == 200 for r in replies)
    kept = await check_kept(connection, invited, replies)
    await forget_all(connection)
    per = 1e6 / kept
    return {
        "ours": kept / spent,
        "p50_ms": quantile((r.seconds for r in replies), 0.5) * 1000,
        "p99_ms": quantile((r.seconds for r in replies), 0.99) * 1000,
        "server_us": server * per,
        "postgres_us": database * per,
        "load_us": own * per,
    }


def _summary(clients: int, measured: list[dict[str, float]]) -> dict[str, object]:
    middle = {name: statistics.median(m[name] for m in measured) for name in measured[0]}
    ours, ratios = sorted(m["ours"] for m in measured), sorted(m["ratio"] for m in measured)
    theirs = sorted(m["pgbench"] for m in measured)
    print(
        f"  {clients:3} clients: ours {middle['ours']:,.0f}/s ({ours[0]:,.0f} to {ours[-1]:,.0f}),"
        f" pgbench {middle['pgbench']:,.0f}/s ({theirs[0]:,.0f} to {theirs[-1]:,.0f}),"
        f" ratio {middle['ratio']:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})\n"
        f"      p50 {middle['p50_ms']:.1f} ms, p99 {middle['p99_ms']:.1f} ms; CPU an answer: server and relay"
        f" {middle['server_us']:.0f} us, PostgreSQL {middle['postgres_us']:.0f} us, load {middle['load_us']:.0f} us"
    )
    return {"median": middle, "rounds": measured}


def _pgbench(postgres: EmbeddedPostgres, folder: Path, clients: int, seconds: float) -> float:
    script = folder / "two_inserts.sql"
    script.write_text(_PGBENCH)
    how = ["-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(max(_ALL_CONNECTED, round(seconds)))]
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
