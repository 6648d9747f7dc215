"""What became of every record below a reader's position: it stands, a later one stands, or it was put aside.

Written apart from the services: records are read here as JSON, and the tables by plain SELECTs.
"""

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from uuid import UUID

import orjson
from aiokafka import ConsumerRecord, TopicPartition

from schemas.topics import INVITATION_DECIDED, INVITATION_PROGRESS, RESPONSE_RECORDED
from services.chassis.postgres import Database

BROKEN = frozenset({b"broken", b"nowhere"})
"""Keys of records that were made to be put aside."""
COUNTED = (INVITATION_DECIDED, INVITATION_PROGRESS, RESPONSE_RECORDED)
Key = tuple[str, ...]
Place = tuple[str, int, int]
_LETTERS = "SELECT value, raw_headers FROM outbox WHERE raw_headers IS NOT NULL"
_OUTCOMES = {"scheduled": "pending", "in_doubt": "pending"}


@dataclass(frozen=True, slots=True)
class Told:
    """What a record says of whom in which revision; of nobody where it is broken."""

    of: Key | None
    revision: int
    says: object
    value: bytes


def told_by(record: ConsumerRecord) -> Told:
    """Read a record of a topic that is counted."""
    if record.key in BROKEN:
        return Told(None, 0, None, record.value)
    said = orjson.loads(record.value)
    match record.topic, said.get("step"):
        case "response.recorded.v1", _:
            return Told(("answer", said["response_id"]), said["revision"], said.get("score"), record.value)
        case _, "opened":
            return Told(("answer", said["invitation_id"]), 0, None, record.value)
        case _, "reached":
            return Told(("decision", said["delivery"]["delivery_id"], "reached"), 1, "reached", record.value)
    outcome = _OUTCOMES.get(said["outcome"], said["outcome"])
    of = ("decision", said["delivery"]["delivery_id"], said.get("kind", "ask"))
    return Told(of, said["revision"], outcome, record.value)


@dataclass(frozen=True, slots=True)
class Standing:
    """The tables at one moment.

    Attributes:
        positions: the next offset of each partition.
        rows: the revision that counts of each answer and decision, and what it says.
        letters: where each record that was put aside came from, and its value.
    """

    positions: Mapping[TopicPartition, int]
    rows: Mapping[Key, tuple[int, object]]
    letters: Sequence[tuple[Place, bytes]]

    @classmethod
    async def read(cls, connection: Database) -> Self:
        """Read them; call inside one snapshot."""
        rows: dict[Key, tuple[int, object]] = {}
        for r in await connection.fetch("SELECT response_id, revision, score FROM answer"):
            rows["answer", str(UUID(int=r["response_id"].int))] = r["revision"], r["score"]
        for r in await connection.fetch("SELECT delivery_id, kind, revision, outcome FROM decision"):
            rows["decision", r["delivery_id"], r["kind"]] = r["revision"], r["outcome"]
        progress = await connection.fetch("SELECT topic, part, next FROM progress WHERE topic = ANY($1)", COUNTED)
        positions = {TopicPartition(r["topic"], r["part"]): r["next"] for r in progress}
        letters = [(_origin(r["raw_headers"]), r["value"]) for r in await connection.fetch(_LETTERS)]
        return cls(positions, rows, [(place, value) for place, value in letters if place[0] in COUNTED])


def _origin(raw_headers: str) -> Place:
    told = {name: base64.b64decode(text).decode() for name, text in json.loads(raw_headers) if text is not None}
    return told["kvittera_dlq_topic"], int(told["kvittera_dlq_partition"]), int(told["kvittera_dlq_offset"])


def unbalanced(told: Mapping[TopicPartition, Sequence[Told]], standing: Standing) -> list[str]:
    """Where in = applied + skipped + put aside does not hold; `told` are the records of each partition from offset 0.

    A record is applied where what it says stands, and skipped where a higher revision stands, or the same once more.
    Nothing may stand, or be put aside, that no record below the positions accounts for.
    """
    letters, owed = Counter(standing.letters), Counter[tuple[Place, bytes]]()
    wrong, applied = [], set[tuple[Key, int]]()
    for partition, at in standing.positions.items():
        ends: Counter[str] = Counter()
        for offset, record in enumerate(told[partition][:at]):
            if record.of is None:
                letter = (partition.topic, partition.partition, offset), record.value
                owed[letter] += 1
                ends["put aside"] += letters[letter]
                continue
            revision, says = standing.rows.get(record.of, (-1, None))
            if revision == record.revision and says == record.says and (record.of, revision) not in applied:
                applied.add((record.of, revision))
                ends["applied"] += 1
            elif revision >= record.revision:
                ends["skipped"] += 1
        if ends.total() != at:
            wrong.append(f"{partition.topic}/{partition.partition}: {at} in, but {_words(ends)}")
    wrong += [f"put aside without need: {place}" for place, _ in letters - owed]
    stands = {(of, revision) for of, (revision, _) in standing.rows.items()}
    return wrong + [f"no record accounts for {of} in revision {n}" for of, n in sorted(stands - applied)]


def _words(ends: Mapping[str, int]) -> str:
    return " + ".join(f"{ends[end]} {end}" for end in ("applied", "skipped", "put aside"))


class Listed:
    """Records that are known from the start."""

    def __init__(self, records: Iterable[ConsumerRecord]) -> None:
        self._told: dict[TopicPartition, list[Told]] = {}
        for record in records:
            self._told.setdefault(TopicPartition(record.topic, record.partition), []).append(told_by(record))

    async def up_to(self, _: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, Sequence[Told]]:
        """All of them."""
        return self._told
