"""Simulated recipients: they read their messages, open the page over HTTP and tap, as people do."""

import asyncio
import json
import random
import re
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import aiohttp
from standardwebhooks.webhooks import Webhook

from services.chassis.pauses import pause_or_stop, pauses
from services.demo.people import Behaviour

_NONCE = re.compile(r'name="nonce" value="([^"]+)"')
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

    notifier_url: str
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
        """Read messages and act until stopped."""
        connector = aiohttp.TCPConnector(limit=self.concurrency * 2)
        timeout = aiohttp.ClientTimeout(total=15)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
            after = self.asked_before = await self._newest(session, stop)
            self.ready.set()
            rest = _LOOK_SECONDS
            while not stop.is_set():
                messages = await self._messages(session, after)
                for message in messages:
                    self._holes |= dict.fromkeys(range(after + 1, message["id"]), time.monotonic())
                    after = message["id"]
                for message in messages + await self._late(session):
                    await self._take(session, message, stop)
                if messages:
                    rest = _LOOK_SECONDS
                else:
                    await pause_or_stop(rest, stop)
                    rest = min(_LOOK_SECONDS_AT_REST, rest * 1.3)  # looking costs the notifier as well
            for task in self._busy:
                task.cancel()
            if self._busy:
                await asyncio.wait(self._busy)

    async def _newest(self, session: aiohttp.ClientSession, stop: asyncio.Event) -> int:
        """Messages of an earlier run are not ours: their recipients have gone."""
        while not stop.is_set():
            try:
                async with session.get(f"{self.notifier_url}/outbox/messages", params={"limit": "1"}) as reply:
                    if reply.status == 200:
                        found = (await reply.json())["messages"]
                        return int(found[0]["id"]) if found else 0
            except (aiohttp.ClientError, TimeoutError):
                pass
            await pause_or_stop(0.2, stop)
        return 0

    async def _messages(self, session: aiohttp.ClientSession, after: int, limit: int = _PAGE) -> list[dict[str, Any]]:
        try:
            params = {"after": str(after), "limit": str(limit)}
            async with session.get(f"{self.notifier_url}/outbox/messages", params=params) as reply:
                return (await reply.json())["messages"] if reply.status == 200 else []
        except (aiohttp.ClientError, TimeoutError):
            return []

    async def _late(self, session: aiohttp.ClientSession) -> list[dict[str, Any]]:
        """Messages with a lower id than others before them: ids are drawn before commits (H35)."""
        fresh = time.monotonic() - _LATE_SECONDS
        self._holes = {n: since for n, since in self._holes.items() if since > fresh}
        if not self._holes:
            return []
        first, last = min(self._holes), max(self._holes)
        found = await self._messages(session, first - 1, min(_PAGE, last - first + 1))
        return [m for m in found if self._holes.pop(m["id"], None) is not None]

    async def _take(self, session: aiohttp.ClientSession, message: dict[str, Any], stop: asyncio.Event) -> None:
        while len(self._busy) >= self.concurrency and not stop.is_set():
            await asyncio.wait(self._busy, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._act(session, message, stop))
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    async def _act(self, session: aiohttp.ClientSession, message: dict[str, Any], stop: asyncio.Event) -> None:
        behaviour = self.behaviours.pop(message["recipient"], None)
        if behaviour is not None:
            self.watch.seen(message)
        if behaviour is not None and behaviour.answers:
            token = message["link"].rpartition("/r/")[2]
            url = f"{self.survey_url}/r/{token}"
            if self.thinking_seconds:
                await pause_or_stop(self._dice.expovariate(1 / self.thinking_seconds), stop)
            await self._answer(session, url, token, behaviour, message, stop)
        if behaviour is not None and behaviour.stops and self.gateway is not None:
            await self._reply(session, message, "STOP", self.gateway, stop)
        if behaviour is not None:
            self.watch.left(message)
        self.handled += 1

    async def _answer(
        self,
        session: aiohttp.ClientSession,
        url: str,
        token: str,
        behaviour: Behaviour,
        message: dict[str, Any],
        stop: asyncio.Event,
    ) -> None:
        nonce = await self._open(session, url, stop)
        if nonce is None:
            return
        first = {"contested": "1"} if behaviour.contested else {"score": str(behaviour.score)}
        said = [first]
        if behaviour.changes_to is not None and not behaviour.contested:
            said.append({"score": str(behaviour.changes_to)})
        if behaviour.comment is not None:
            said.append({"comment": behaviour.comment})
        score: int | None = None
        for fields in said:
            revision = await self._tap(session, url, {"nonce": nonce, **fields}, stop)
            if revision is None:
                return
            score = int(fields["score"]) if "score" in fields else score
            self.acknowledged[token] = Acknowledged(token, score, behaviour.contested, revision)
            self.watch.saved(message, revision)
        self.recent.append({**message, "score": score, "comment": behaviour.comment})

    async def _reply(
        self,
        session: aiohttp.ClientSession,
        message: dict[str, Any],
        words: str,
        gateway: Webhook,
        stop: asyncio.Event,
    ) -> None:
        """Reply to a text message: the gateway hands it over until it is taken, always under one id."""
        name = f"reply-{message['id']}"
        told = {"from": message["recipient"], "to": "+46701740690", "text": words, "reference": name}
        for pause in pauses(first=0.1, longest=2):
            at = datetime.now(UTC)
            body = json.dumps({**told, "received_at": at.isoformat()})
            signed = {
                "content-type": "application/json",
                "webhook-id": name,
                "webhook-timestamp": str(int(at.timestamp())),
                "webhook-signature": gateway.sign(name, at, body),
            }
            try:
                url = f"{self.survey_url}/api/inbound/sms"
                async with session.post(url, data=body, headers=signed) as reply:
                    if reply.status == 202:
                        self.stopped += 1
                        self.replied.append({**message, "reply": words})
                        return
                    self.retries[f"reply {reply.status}"] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                self.retries[f"reply {type(error).__name__}"] += 1
            if await pause_or_stop(pause, stop):
                return

    async def _open(self, session: aiohttp.ClientSession, url: str, stop: asyncio.Event) -> str | None:
        """Open the page, again while the server is away or not that far yet."""
        for pause in pauses(first=0.1, longest=2):
            try:
                async with session.get(url) as reply:
                    text = await reply.text()
                    if reply.status == 200 and (found := _NONCE.search(text)):
                        self.opened += 1
                        return found.group(1)
                    self.retries[f"open {reply.status}"] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                self.retries[f"open {type(error).__name__}"] += 1
            if await pause_or_stop(pause, stop):
                return None
        return None

    async def _tap(
        self, session: aiohttp.ClientSession, url: str, fields: dict[str, str], stop: asyncio.Event
    ) -> int | None:
        """Post until it is acknowledged; the same post again is safe."""
        for pause in pauses(first=0.1, longest=2):
            try:
                async with session.post(url, data=fields, headers={"accept": "application/json"}) as reply:
                    if reply.status == 200:
                        return int((await reply.json())["revision"])
                    self.retries[f"tap {reply.status}"] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                self.retries[f"tap {type(error).__name__}"] += 1
            if await pause_or_stop(pause, stop):
                return None
        return None
