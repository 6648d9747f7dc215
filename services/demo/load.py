"""Drives deliveries at a rate through a running system, lets recipients answer, and measures how long each took."""

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final
from uuid import UUID

import asyncpg

from services.chassis.pauses import pause_or_stop
from services.chassis.postgres import OwnConnection, connect, named_sql
from services.chassis.settings import Settings
from services.demo.inbox import Inbox
from services.demo.people import Case, Town, now
from services.demo.recipients import Recipients
from services.demo.upstream import Upstream

LOOK_SECONDS: Final = 0.02
"""How often is looked whether an answer is counted: what is measured is at most so much too long."""
_NEIGHBOURS: Final = 9_000_000
_ON_ITS_WAY: Final = frozenset({"planned", "claimed", "calling", "in_doubt"})


@dataclass(slots=True)
class Timings:
    """When each delivery, message and answer of this run was seen, on this machine's steady clock.

    Attributes:
        deliveries: ids of the deliveries handed to Kafka.
        to_message: seconds from handing a delivery to Kafka until its recipient has the message.
        to_counter: seconds from "saved" until the counters hold that revision of the answer.
        messages, left: messages that recipients have, and those that they are done with.
        uncounted: revision and moment of answers that are saved and not counted yet.
    """

    clock: Callable[[], float] = time.monotonic
    deliveries: list[str] = field(default_factory=list)
    to_message: list[float] = field(default_factory=list)
    to_counter: list[float] = field(default_factory=list)
    messages: int = 0
    left_alone: int = 0
    uncounted: dict[UUID, tuple[int, float]] = field(default_factory=dict)
    answered: set[UUID] = field(default_factory=set)
    _handed: dict[str, float] = field(default_factory=dict)

    def noting(self, cases: Iterator[Case]) -> Iterator[Case]:
        """The same cases, each noted as it is taken to be published."""
        for case in cases:
            self.deliveries.append(case.delivery.delivery.delivery_id)
            self._handed[case.address] = self.clock()
            yield case

    def seen(self, message: Mapping[str, Any]) -> None:
        """A recipient has the message."""
        self.messages += 1
        if (handed := self._handed.pop(message["recipient"], None)) is not None:
            self.to_message.append(self.clock() - handed)

    def saved(self, message: Mapping[str, Any], revision: int) -> None:
        """A recipient was told that this revision is saved."""
        response = UUID(message["reference"])
        self.answered.add(response)
        self.uncounted[response] = (revision, self.clock())

    def left(self, message: Mapping[str, Any]) -> None:  # noqa: ARG002 - every message counts alike
        """A recipient is done."""
        self.left_alone += 1

    def counted(self, revisions: Mapping[UUID, int]) -> None:
        """These revisions are in the counters now."""
        for response, revision in revisions.items():
            wanted, saved = self.uncounted.get(response, (revision + 1, 0.0))
            if revision >= wanted:
                del self.uncounted[response]
                self.to_counter.append(self.clock() - saved)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Where this run's deliveries stand; `held` are planned for later, as in quiet hours."""

    decided: int = 0
    asked: int = 0
    held: int = 0
    on_their_way: int = 0

    @classmethod
    def of(cls, rows: list[asyncpg.Record]) -> "Outcomes":
        """From rows of outcome, state, whether it is due later, and number."""
        held = sum(r["n"] for r in rows if r["state"] == "planned" and r["later"])
        return cls(
            decided=sum(r["n"] for r in rows),
            asked=sum(r["n"] for r in rows if r["state"] == "accepted"),
            held=held,
            on_their_way=sum(r["n"] for r in rows if r["state"] in _ON_ITS_WAY) - held,
        )


@dataclass(slots=True)
class Load:
    """A run: what it drives, what it sees, how long it waits for the rest."""

    settings: Settings
    upstream: Upstream
    recipients: Recipients
    timings: Timings
    total: int
    settle_seconds: float
    outcomes: Outcomes = field(default_factory=Outcomes)
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether all that was published is decided, sent, answered and counted."""
        seen = self.timings
        return (
            self.upstream.done.is_set()
            and self.outcomes.decided == len(seen.deliveries)
            and self.outcomes.on_their_way == 0
            and seen.messages >= self.outcomes.asked
            and seen.left_alone == seen.messages
            and not seen.uncounted
        )


def assemble(
    settings: Settings, rate: float, seconds: float, *, inbox: Inbox, survey: str, settle_seconds: float
) -> Load:
    """Put a run together; its people live at addresses of their own, so that no other run has asked them."""
    timings = Timings()
    town = Town(random.SystemRandom().randrange(1 << 30), settings.brand, random.SystemRandom().randrange(_NEIGHBOURS))
    total = max(1, round(rate * seconds))
    cases = timings.noting(islice(iter(lambda: town.next_case(now()), None), total))
    upstream = Upstream(settings, cases, rate, {})
    recipients = Recipients(inbox, survey, upstream.behaviours, watch=timings)
    return Load(settings, upstream, recipients, timings, total, settle_seconds)


async def run(load: Load, stop: asyncio.Event, watch: Callable[[Load], None]) -> None:
    """Drive, and return when everything has arrived, its time is over, or `stop` is set."""
    ended = asyncio.Event()
    connection = await connect(load.settings, "public", command_timeout=60)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(load.recipients.run(ended))
            await load.recipients.ready.wait()
            began = time.monotonic()
            group.create_task(load.upstream.run(ended))
            counting = group.create_task(_watch_counters(load, connection, ended))
            try:
                await _until_complete(load, stop, watch)
            finally:
                load.seconds = time.monotonic() - began
                ended.set()
                await counting
    finally:
        await connection.close()


async def _until_complete(load: Load, stop: asyncio.Event, watch: Callable[[Load], None]) -> None:
    sql = named_sql("services.demo", "load.sql")
    connection = await connect(load.settings, "public", command_timeout=60)
    deadline = None
    try:
        while not load.complete and not await pause_or_stop(0.25, stop):
            load.outcomes = Outcomes.of(await connection.fetch(sql["outcomes"], load.timings.deliveries))
            watch(load)
            if load.upstream.done.is_set():
                deadline = deadline or time.monotonic() + load.settle_seconds
                if time.monotonic() > deadline:
                    return
    finally:
        await connection.close()


async def _watch_counters(load: Load, connection: OwnConnection, ended: asyncio.Event) -> None:
    sql = named_sql("services.demo", "load.sql")
    while not await pause_or_stop(LOOK_SECONDS, ended):
        if load.timings.uncounted:
            rows = await connection.fetch(sql["counted"], list(load.timings.uncounted))
            load.timings.counted({r["response_id"]: r["revision"] for r in rows})
