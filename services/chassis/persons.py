"""A data key for each person, sealed by the installation's key: destroying it erases all that it sealed (D21).

Every service keeps the keys of its own schema in `person_key`. A row without a key is a tombstone: `erased_at`
stays for ever, so that nothing from before it comes back by a replay. What happens after it is a new
relation and gets a new key.
"""

import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from services.chassis.failures import Poison
from services.chassis.postgres import Database, named_sql
from services.chassis.sealing import Box, Seal

Person = bytes
"""A person's pseudonym: 16 bytes, as `Seal.pseudonym` makes them; topics tell it as 32 hex digits."""
_KEY_BYTES = 32
_REMEMBERED = 4096
_REMEMBER_SECONDS = 30.0


def read_person(person_id: str) -> Person | None:
    """The person of an id as topics tell it; None for what is none."""
    return bytes.fromhex(person_id) if re.fullmatch("[0-9a-f]{32}", person_id) else None


class Known(NamedTuple):
    """What a service knows of a person: the sealed key, and when the person was last erased."""

    person: Person
    wrapped: bytes | None
    erased_at: datetime | None


class Sealed(NamedTuple):
    """Something sealed: whose it is, and what it is bound to. Without a person the installation's key sealed it."""

    person: Person | None
    sealed: bytes | None
    row: str


@dataclass(slots=True)
class PersonKeys:
    """The keys of persons in one service's schema.

    Keys are remembered for reading only, and 30 s at most: what another process erases is forgotten here too.
    """

    seal: Seal
    clock: Callable[[], float] = time.monotonic
    _sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.chassis", "persons.sql"))
    _remembered: OrderedDict[Person, tuple[float, Box]] = field(default_factory=OrderedDict)

    async def look_up(self, connection: Database, persons: Iterable[Person]) -> dict[Person, Known]:
        """What is known of each person, in one statement; somebody unknown has neither key nor erasure."""
        rows = await connection.fetch(self._sql["person_keys"], sorted(set(persons)))
        return {r["person"]: Known(*r) for r in rows}

    async def for_closing(self, connection: Database, persons: Iterable[Known]) -> dict[Person, Box]:
        """A key for each person, in the caller's transaction; who has none, or none any more, gets a new one.

        No statement where all have one. Who was erased since the look-up is left out: what is at hand is then
        from before the erasure.
        """
        known = {k.person: k for k in persons}
        new = sorted(p for p, k in known.items() if k.wrapped is None)
        boxes = {p: self._unwrap(p, k.wrapped) for p, k in known.items() if k.wrapped is not None}
        if new:
            boxes |= await self._make(connection, {p: known[p].erased_at for p in new})
        return boxes

    async def _make(self, connection: Database, erased: Mapping[Person, datetime | None]) -> dict[Person, Box]:
        keys = {p: os.urandom(_KEY_BYTES) for p in erased}
        wrapped = [self.seal.close_bytes(key, _row(p)) for p, key in keys.items()]
        made = await connection.fetch(
            self._sql["make_person_keys"], list(keys), wrapped, list(erased.values()), self.seal.key_id
        )
        boxes = {r["person"]: Box(keys[r["person"]]) for r in made}
        others = [p for p in keys if p not in boxes]  # a quicker process made theirs, or they were erased just now
        return boxes | (await self._read(connection, others) if others else {})

    async def open_all(self, connection: Database, things: Sequence[Sealed]) -> list[str | None]:
        """The texts, None where the key is destroyed or the thing cannot be opened. One look-up at most, or two."""
        boxes = self._recall({t.person for t in things if t.person is not None})
        missing = sorted({t.person for t in things if t.person is not None and t.person not in boxes})
        if missing:
            boxes |= self._remember(await self._read(connection, missing))
        texts = [self._try(boxes, t) for t in things]
        # A key that was remembered may have been replaced since: look again before giving up.
        shut = (t for t, text in zip(things, texts, strict=True) if text is None and t.sealed is not None)
        if again := sorted({t.person for t in shut if t.person is not None}.difference(missing)):
            for person in again:
                self.forget(person)
            boxes = self._remember(await self._read(connection, again))
            texts = [self._try(boxes, t) if t.person in again else x for t, x in zip(things, texts, strict=True)]
        return texts

    def open_with(self, keys: Mapping[Person, bytes | None], things: Sequence[Sealed]) -> list[str | None]:
        """As `open_all`, with sealed keys that the caller has just read."""
        boxes = {p: self._unwrap(p, wrapped) for p, wrapped in keys.items() if wrapped is not None}
        return [self._try(boxes, t) for t in things]

    async def destroy(self, connection: Database, person: Person, at: datetime) -> bool:
        """Destroy the key and leave a tombstone. Returns whether this erasure is news.

        An erasure that is not later than the one known is an old one told again, and changes nothing: a new
        relation since then stays.
        """
        self.forget(person)
        return await connection.fetchval(self._sql["destroy_person_key"], person, at) is not None

    async def rewrap(self, connection: Database, limit: int = 1000) -> int:
        """Seal keys that an older key of the installation sealed with the newest one. Returns how many were.

        Raises:
            Poison: no key of the installation opens one.
        """
        rows = await connection.fetch(self._sql["keys_sealed_before"], self.seal.key_id, limit)
        wrapped = [
            self.seal.close_bytes(self.seal.open_bytes(r["wrapped"], _row(r["person"])), _row(r["person"]))
            for r in rows
        ]
        await connection.execute(self._sql["keep_rewrapped"], [r["person"] for r in rows], wrapped, self.seal.key_id)
        return len(rows)

    def forget(self, person: Person) -> None:
        """Forget a remembered key."""
        self._remembered.pop(person, None)

    async def _read(self, connection: Database, persons: Sequence[Person]) -> dict[Person, Box]:
        known = (await self.look_up(connection, persons)).values()
        return {k.person: self._unwrap(k.person, k.wrapped) for k in known if k.wrapped is not None}

    def _unwrap(self, person: Person, wrapped: bytes) -> Box:
        return Box(self.seal.open_bytes(wrapped, _row(person)))

    def _recall(self, persons: set[Person]) -> dict[Person, Box]:
        oldest = self.clock() - _REMEMBER_SECONDS
        return {p: known[1] for p in persons if (known := self._remembered.get(p)) and known[0] > oldest}

    def _remember(self, boxes: dict[Person, Box]) -> dict[Person, Box]:
        now = self.clock()
        for person, box in boxes.items():
            self._remembered[person] = (now, box)
            self._remembered.move_to_end(person)
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return boxes

    def _try(self, boxes: Mapping[Person, Box], thing: Sealed) -> str | None:
        box = self.seal if thing.person is None else boxes.get(thing.person)
        try:
            return box.open(thing.sealed, thing.row) if box is not None and thing.sealed is not None else None
        except Poison:
            return None


def _row(person: Person) -> str:
    return f"person {person.hex()}"
