"""Simulated recipients: they read their messages, open the page over HTTP and tap, as people do."""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
from standardwebhooks.webhooks import Webhook

from services.chassis.pauses import pause_or_stop
from services.demo.inbox import Inbox
from services.demo.people import Behaviour
from services.demo.phone import Phone

_PAGE = 500
_LATE_SECONDS = 5.0
_SEEN_OFTEN = 12
_LOOK_SECONDS = 0.05
_LOOK_SECONDS_AT_REST = 0.25


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What a recipient was told is saved, last."""

    token: str
    score: int | None
    contested: bool
    revision: int


class Watch(Protocol):
    """Who is told what recipients see and do, at the moment."""

    def seen(self, message: Mapping[str, Any]) -> None:
        """A recipient has the message."""

    def saved(self, message: Mapping[str, Any], revision: int) -> None:
        """A recipient was told that this revision of the answer is saved."""

    def left(self, message: Mapping[str, Any]) -> None:
        """A recipient is done with the message, answered or not."""


class _Nobody:
    def seen(self, message: Mapping[str, Any]) -> None: ...
    def saved(self, message: Mapping[str, Any], revision: int) -> None: ...
    def left(self, message: Mapping[str, Any]) -> None: ...


@dataclass(slots=True)
class Recipients:
    """Everybody who gets a message; each acts once.

    Attributes:
        acknowledged: the client's own log of what was promised, by token: the oracle for "nothing lost".
        handled: messages that were acted on, or left alone on purpose.
        ready: set once messages of an earlier run are told apart from ours.
        asked_before: how many messages an earlier run left.
        gateway: signs text messages that people reply with, as a gateway would; None: nobody can reply.
        stopped: whose STOP was taken.
    """

    inbox: Inbox
    survey_url: str
    behaviours: dict[str, Behaviour]
    concurrency: int = 32
    thinking_seconds: float = 0.0
    watch: Watch = field(default_factory=_Nobody)
    gateway: Webhook | None = None
    acknowledged: dict[str, Acknowledged] = field(default_factory=dict)
    handled: int = 0
    stopped: int = 0
    asked_before: int = 0
    opened: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    recent: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_SEEN_OFTEN))
    replied: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=_SEEN_OFTEN))
    _dice: random.Random = field(default_factory=lambda: random.Random(7))
    _busy: set[asyncio.Task[None]] = field(default_factory=set)
    _holes: dict[int, float] = field(default_factory=dict)

    async def run(self, stop: asyncio.Event) -> None:
        """Read messages and act until stopped; the inbox is closed then."""
        connector = aiohttp.TCPConnector(limit=self.concurrency * 2)
        timeout = aiohttp.ClientTimeout(total=15)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
            try:
                await self._read(session, stop)
            finally:
                for task in self._busy:
                    task.cancel()
                if self._busy:
                    await asyncio.wait(self._busy)
                await self.inbox.close()

    async def _read(self, session: aiohttp.ClientSession, stop: asyncio.Event) -> None:
        after = self.asked_before = await self._newest(stop)
        self.ready.set()
        rest = _LOOK_SECONDS
        while not stop.is_set():
            messages = await self.inbox.after(after, _PAGE)
            for message in messages:
                self._holes |= dict.fromkeys(range(after + 1, message["id"]), time.monotonic())
                after = message["id"]
            for message in messages + await self._late():
                await self._take(session, message, stop)
            if messages:
                rest = _LOOK_SECONDS
            else:
                await pause_or_stop(rest, stop)
                rest = min(_LOOK_SECONDS_AT_REST, rest * 1.3)  # looking costs the notifier as well

    async def _newest(self, stop: asyncio.Event) -> int:
        """Messages of an earlier run are not ours: their recipients have gone."""
        while not stop.is_set():
            if (newest := await self.inbox.newest()) is not None:
                return newest
            await pause_or_stop(0.2, stop)
        return 0

    async def _late(self) -> list[dict[str, Any]]:
        """Messages with a lower id than others before them: ids are drawn before commits (H35)."""
        fresh = time.monotonic() - _LATE_SECONDS
        self._holes = {n: since for n, since in self._holes.items() if since > fresh}
        if not self._holes:
            return []
        first, last = min(self._holes), max(self._holes)
        found = await self.inbox.after(first - 1, min(_PAGE, last - first + 1))
        return [m for m in found if self._holes.pop(m["id"], None) is not None]

    async def _take(self, session: aiohttp.ClientSession, message: dict[str, Any], stop: asyncio.Event) -> None:
        while len(self._busy) >= self.concurrency and not stop.is_set():
            await asyncio.wait(self._busy, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._act(Phone(session, stop, self.retries), message))
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    async def _act(self, phone: Phone, message: dict[str, Any]) -> None:
        behaviour = self.behaviours.pop(message["recipient"], None)
        if behaviour is not None:
            self.watch.seen(message)
            if behaviour.answers:
                if self.thinking_seconds:
                    await pause_or_stop(self._dice.expovariate(1 / self.thinking_seconds), phone.stop)
                await self._answer(phone, behaviour, message)
            if behaviour.stops and self.gateway is not None:
                await self._reply_stop(phone, message, self.gateway)
            self.watch.left(message)
        self.handled += 1

    async def _answer(self, phone: Phone, behaviour: Behaviour, message: dict[str, Any]) -> None:
        token = message["link"].rpartition("/r/")[2]
        url = f"{self.survey_url}/r/{token}"
        of_page = await phone.open(url)
        if of_page is None:
            return
        self.opened += 1
        first = {"contested": "1"} if behaviour.contested else {"score": str(behaviour.score)}
        said = [first]
        if behaviour.changes_to is not None and not behaviour.contested:
            said.append({"score": str(behaviour.changes_to)})
        if behaviour.comment is not None:
            said.append({"comment": behaviour.comment})
        score: int | None = None
        for fields in said:
            revision = await phone.tap(url, {**of_page, **fields})
            if revision is None:
                return
            score = int(fields["score"]) if "score" in fields else score
            self.acknowledged[token] = Acknowledged(token, score, behaviour.contested, revision)
            self.watch.saved(message, revision)
        self.recent.append({**message, "score": score, "comment": behaviour.comment})

    async def _reply_stop(self, phone: Phone, message: dict[str, Any], gateway: Webhook) -> None:
        if await phone.reply(f"{self.survey_url}/api/inbound/sms", message, "STOP", gateway):
            self.stopped += 1
            self.replied.append({**message, "reply": "STOP"})
