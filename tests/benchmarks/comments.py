"""`python -m tests.benchmarks.comments`: how quickly staff find comments among a million, by kind of question."""

import asyncio
import hashlib
import random
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import asyncpg
import typer
from pydantic import SecretStr

from services.chassis.postgres import migrate, open_pool
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.embedded.postgres import EmbeddedPostgres
from services.survey.comments.query import CONFIGURATIONS, Search, facts_of
from services.survey.comments.search import CommentSearch
from services.survey.comments.texts import SealedTexts
from tests.benchmarks.machine import describe_machine

_SEAL = Seal(bytes.fromhex("5e" * 32))
_END = datetime(2026, 10, 13, tzinfo=UTC)
_TERMINALS = [f"Terminal {n:03}" for n in range(150)]
_REASONS = ("on_time", "right_place", "condition", "courtesy", "information", "other")
_LANGUAGES = ("sv",) * 45 + ("nb",) * 15 + ("da",) * 15 + ("fi",) * 10 + ("en",) * 8 + ("de",) * 5 + (None,) * 2
_SYLLABLES = [a + b for a in "bdfghjklmnprstv" for b in ("a", "e", "i", "o", "u", "y", "å", "ä", "ö")]
_FREQUENT = ("paketet", "snäll", "ringde", "chauffören", "leverans", "dörren", "väntade", "tack")
_OLD = "julkalender"
"""A word that only the oldest tenth uses, and there in every third comment."""


def _vocabulary(dice: random.Random) -> list[str]:
    words = {"".join(dice.choices(_SYLLABLES, k=dice.randint(2, 5))) for _ in range(30_000)}
    return sorted(words)[:20_000]


def _comments(count: int) -> AsyncIterator[tuple[object, ...]]:
    """Made-up comments in order of time; words follow Zipf's law."""
    dice = random.Random(7)
    vocabulary = _vocabulary(dice)
    weights = [1 / (n + 8) for n in range(len(vocabulary))]
    stock = dice.choices(vocabulary, weights=weights, k=2_000_000)

    async def made() -> AsyncIterator[tuple[object, ...]]:
        for n in range(count):
            length = min(60, 1 + int(dice.expovariate(1 / 14)))
            start = dice.randrange(len(stock) - length)
            words = stock[start : start + length]
            words += [w for k, w in enumerate(_FREQUENT) if dice.random() < 0.3 / (k + 1)]
            if n < count // 10 and n % 3 == 0:
                words.append(_OLD)
            if n % 20_000 == 11:
                words.append("snöskoter")
            score = dice.choices((1, 2, 3, 4, 5), weights=(3, 5, 10, 32, 50))[0]
            reasons = dice.sample(_REASONS, k=dice.choice((0, 1, 1, 2)))
            terminal = _TERMINALS[min(149, int(dice.expovariate(1 / 30)))]
            language = dice.choice(_LANGUAGES)
            yield (
                uuid.UUID(int=dice.getrandbits(128)),
                " ".join(words),
                CONFIGURATIONS[language],
                language,
                score,
                reasons,
                terminal,
                _END - timedelta(seconds=30 * (count - n)),
                facts_of(score=score, reasons=reasons, terminal=terminal, service_point=None, language=language),
            )

    return made()


async def _fill(connection: asyncpg.Connection, count: int) -> None:
    """The rows as the survey would have them; the index of words is built at the end, as after a restore."""
    await connection.execute(
        "DROP INDEX comment_words; CREATE TEMP TABLE made (id uuid, text text, configuration text, language text,"
        " score smallint, reasons text[], terminal text, said_at timestamptz, facts text[], token bytea, sealed bytea)"
    )

    async def rows() -> AsyncIterator[tuple[object, ...]]:
        async for row in _comments(count):
            token = hashlib.sha256(row[0].bytes).digest()  # type: ignore[attr-defined]
            yield (*row, token, _SEAL.close(str(row[1]), token.hex()))

    await connection.copy_records_to_table("made", records=rows())
    await connection.execute(
        """
        INSERT INTO invitation (token_sha256, invitation_id, expires_at, delivery)
        SELECT token, id, 'infinity', '{"country": "SE"}' FROM made;
        INSERT INTO response (response_id, revision, score, reasons, comment_sealed, answered_at, changed_at)
        SELECT id, 1, score, reasons, sealed, said_at, said_at FROM made;
        INSERT INTO comment_index (response_id, revision, words, language, score, reasons, terminal, said_at)
        SELECT id, 1, strip(to_tsvector(configuration::regconfig, text)) || array_to_tsvector(facts), language, score,
               reasons, terminal, said_at
        FROM made;
        INSERT INTO comment_place SELECT DISTINCT terminal FROM made;
        DROP TABLE made;
        CREATE INDEX comment_words ON comment_index USING gin (words) WITH (fastupdate = off);
        """,
        timeout=3600,
    )
    await connection.execute("VACUUM ANALYZE", timeout=3600)


def _kinds() -> dict[str, list[Search]]:
    """Questions by kind; each kind asks different things, so that no answer is simply remembered."""
    dice = random.Random(3)
    words = _vocabulary(random.Random(7))
    common, middling, rare = words[:40], words[400:900], words[15_000:]
    some = _TERMINALS[:60]
    deep = _END - timedelta(days=200)
    return {
        "newest, no filter": [Search()],
        "a frequent word": [Search(text=w) for w in _FREQUENT],
        "a common word": [Search(text=w) for w in common],
        "a middling word": [Search(text=w) for w in dice.sample(middling, 40)],
        "a rare word": [Search(text=w) for w in dice.sample(rare, 40)],
        "a very rare word": [Search(text="snöskoter")],
        "no such word": [Search(text="finnsinte")],
        "beginning of a frequent word": [Search(text=f"{w[:5]}*") for w in _FREQUENT[:6]],
        "beginning of a rare word": [Search(text=f"{w[:5]}*") for w in dice.sample(rare, 40)],
        "two frequent words": [Search(text="paketet snäll"), Search(text="ringde chauffören")],
        "frequent and rare word": [Search(text=f"paketet {w}") for w in dice.sample(rare, 40)],
        "one word or another": [Search(text=f"{a} or {b}") for a, b in zip(middling, rare, strict=False)][:40],
        "frequent word, terminal": [Search(text="paketet", terminal=t) for t in some],
        "rare word, terminal": [Search(text=w, terminal=dice.choice(some)) for w in dice.sample(rare, 40)],
        "score 1 and reason": [Search(scores=frozenset({1}), reasons=frozenset({r})) for r in _REASONS],
        "frequent word, score, reason": [
            Search(text=w, scores=frozenset({1}), reasons=frozenset({r})) for w in _FREQUENT[:4] for r in _REASONS
        ],
        "word, score, reason, terminal": [
            Search(text="paketet", scores=frozenset({1, 2}), reasons=frozenset({"on_time"}), terminal=t) for t in some
        ],
        "frequent word, one old week": [Search(text=w, since=deep, until=deep + timedelta(days=7)) for w in _FREQUENT],
        "rare word, one old week": [
            Search(text=w, since=deep, until=deep + timedelta(days=7)) for w in dice.sample(rare, 40)
        ],
        "frequent word, a deep page": [Search(text=w, before=(deep, uuid.UUID(int=0))) for w in _FREQUENT],
        "staff of five terminals": [Search(text=w, terminals=frozenset(some[10:15])) for w in (*_FREQUENT, *rare[:30])],
        "frequent long ago, not now": [Search(text=_OLD)],
    }


async def _measure(postgres: EmbeddedPostgres, count: int, times: int) -> None:
    dsn = postgres.dsn()
    admin = await asyncpg.connect(dsn, server_settings={"search_path": "survey"})
    await migrate(admin, "survey", "services.survey")
    await admin.execute("SET search_path TO survey")
    started = time.perf_counter()
    await _fill(admin, count)
    sizes = await admin.fetchrow(
        "SELECT pg_table_size('comment_index') AS rows, pg_relation_size('comment_words') AS words,"
        " pg_indexes_size('comment_index') AS indexes"
    )
    assert sizes is not None
    megabytes = {name: round(size / 1e6) for name, size in sizes.items()}
    print(f"{count:,} comments in {time.perf_counter() - started:.0f} s; MB: {megabytes}")
    pool = await open_pool(Settings(postgres_dsn=SecretStr(dsn)), "survey")
    search = CommentSearch(pool, SealedTexts(_SEAL))
    print(f"{'question':32} {'hits':>5} {'p50 ms':>8} {'p95 ms':>8} {'max ms':>8}   (50 comments opened and scrubbed)")
    everything: list[float] = []
    for kind, questions in _kinds().items():
        spent, found = [], []
        for n in range(times):
            began = time.perf_counter()
            hits, _ = await search.find(questions[n % len(questions)])
            spent.append((time.perf_counter() - began) * 1000)
            found.append(len(hits))
        spent = sorted(spent[1:])
        everything += spent
        print(
            f"{kind:32} {statistics.median(found):5.0f} {spent[len(spent) // 2]:8.1f}"
            f" {spent[int(len(spent) * 0.95)]:8.1f} {spent[-1]:8.1f}"
        )
    everything.sort()
    print(
        f"{'all kinds':32}       {everything[len(everything) // 2]:8.1f} {everything[int(len(everything) * 0.95)]:8.1f}"
    )
    pool.terminate()
    await admin.close()


def main(
    count: Annotated[int, typer.Option(help="Comments to search among.")] = 1_000_000,
    times: Annotated[int, typer.Option(help="Questions of each kind.")] = 60,
) -> None:
    """Fill a PostgreSQL of its own with made-up comments and measure each kind of search, hits opened and scrubbed."""
    print(f"machine: {describe_machine()}")
    with tempfile.TemporaryDirectory(prefix="kvittera-bench-") as folder:
        Path(folder).chmod(0o755)
        postgres = EmbeddedPostgres(
            Path(folder) / "postgres",
            settings={"shared_buffers": "1GB", "max_wal_size": "8GB", "maintenance_work_mem": "512MB"},
        )
        postgres.start()
        try:
            asyncio.run(_measure(postgres, count, times))
        finally:
            postgres.stop()


if __name__ == "__main__":
    typer.run(main)
