"""What the demo page shows, taken from the real topics and messages twice a second."""

import asyncio
import re
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import aiohttp
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from schemas.disruption import DisruptionKind
from schemas.invitation import InvitationDecided, Outcome
from schemas.response import ResponseRecorded
from schemas.topics import DELIVERY_COMPLETED, INVITATION_DECIDED, RESPONSE_RECORDED, SATISFACTION_CELLS
from services.chassis.kafka import make_consumer, start_with_patience
from services.chassis.pauses import pause_or_stop
from services.chassis.topic_identity import topic_partitions
from services.demo.people import now
from services.demo.runtime import Demo
from services.demo.staff import StaffLinks

_TOPICS = (DELIVERY_COMPLETED, INVITATION_DECIDED, RESPONSE_RECORDED, SATISFACTION_CELLS)
_PERIOD = 0.5
_SAMPLES = 6  # a stretch and period: twelve dots a second
_ZONE = ZoneInfo("Europe/Stockholm")


@dataclass(slots=True)
class Scene:
    """Follows the topics' ends and a sample of their records."""

    demo: Demo
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_TOPICS, 0))
    samples: list[dict[str, Any]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    staff: StaffLinks = field(init=False)
    _silent: InvitationDecided | None = None
    _messages: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=40))

    def __post_init__(self) -> None:
        self.staff = StaffLinks(self.demo.settings)

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until stopped."""
        consumer = make_consumer(
            self.demo.settings, group=None, client="kvittera-demo-page", auto_offset_reset="latest"
        )
        await start_with_patience(consumer.start, self.demo.settings, "the demo page")
        try:
            parts = [p for topic in _TOPICS for p in await topic_partitions(self.demo.settings, topic)]
            consumer.assign(parts)
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
                while not await pause_or_stop(_PERIOD, stop):
                    await self._look(consumer, parts, session)
        finally:
            await self.staff.close()
            await consumer.stop()

    async def _look(
        self, consumer: AIOKafkaConsumer, parts: list[TopicPartition], session: aiohttp.ClientSession
    ) -> None:
        try:
            async with asyncio.timeout(3):
                ends = await consumer.end_offsets(parts)
                records = [r for batch in (await consumer.getmany(timeout_ms=0)).values() for r in batch]
                await consumer.seek_to_end(*parts)  # samples are of now, also when there is more than we look at
        except (KafkaError, TimeoutError, OSError):
            return
        for topic in _TOPICS:
            self.counts[topic] = sum(end for p, end in ends.items() if p.topic == topic)
        self.samples = [s for topic in _TOPICS for s in self._sample(topic, records)]
        await self._read_messages(session)
        await self.staff.look()
        self.changed.set()
        self.changed.clear()

    def _sample(self, topic: str, records: list[Any]) -> list[dict[str, Any]]:
        seen = [r for r in records if r.topic == topic and r.value]
        step = max(1, len(seen) // _SAMPLES)
        return [s for r in seen[::step][:_SAMPLES] if (s := self._dot(topic, r.value)) is not None]

    def _dot(self, topic: str, value: bytes) -> dict[str, Any] | None:
        """A record as a dot; None for what goes by unseen, and for what the services put aside as unreadable."""
        try:
            if topic == INVITATION_DECIDED:
                return self._decided(InvitationDecided.model_validate_json(value))
            if topic == RESPONSE_RECORDED:
                score = ResponseRecorded.model_validate_json(value).score
                return {"stretch": 2, "kind": "answer", "score": score}
        except ValidationError:
            return None
        if topic == DELIVERY_COMPLETED:
            return {"stretch": 0, "kind": "delivery", "score": None}
        return {"stretch": 3, "kind": "cell", "score": None}

    def _decided(self, told: InvitationDecided) -> dict[str, Any] | None:
        held = told.outcome is Outcome.SCHEDULED and "held_by" in told.evidence
        if held or told.outcome is Outcome.SUPPRESSED:
            self._silent = told
            return {"stretch": 1, "kind": "suppressed", "score": None}
        return {"stretch": 1, "kind": "asked", "score": None} if told.outcome is Outcome.ASKED else None

    async def _read_messages(self, session: aiohttp.ClientSession) -> None:
        try:
            url = f"{self.demo.supervisor.urls['notifier']}/outbox/messages"
            async with session.get(url, params={"limit": "40"}) as reply:
                if reply.status == 200:
                    self._messages.clear()
                    self._messages.extend((await reply.json())["messages"])
        except (aiohttp.ClientError, TimeoutError):
            return

    def state(self) -> dict[str, Any]:
        """The picture of now."""
        demo = self.demo
        audit = demo.audit
        return {
            "rate": demo.upstream.rate,
            "all_published": demo.upstream.done.is_set(),
            "running": demo.supervisor.running(),
            "raining": demo.town.raining,
            "night": demo.town.night,
            "striking": demo.upstream.tells(DisruptionKind.STRIKE),
            "events": sum(self.counts.values()),
            "topics": self.counts,
            "audit": audit and {**audit.as_dict(), "age_seconds": round(time.monotonic() - demo.audited_at, 1)},
            "phones": self._phones(),
            "samples": self.samples,
            "staff": self.staff.state(),
        }

    def _phones(self) -> list[dict[str, Any]]:
        answered = list(self.demo.recipients.recent)
        newest = list(self._messages)
        sms = [m for m in newest if m["channel"] == "sms"]
        mails = [m for m in newest if m["channel"] == "email"]
        phones = [_phone(m, "arrived") for m in sms[:1]]
        phones += [_phone(m, "tapped") for m in answered[-1:]]
        phones += [_phone(m, "saved") for m in answered[-2:-1]]
        phones += [_phone(m, "arrived") for m in mails[:1]]
        replied = list(self.demo.recipients.replied)
        phones += [_phone(m, "replied") for m in replied[-1:]] or [_phone(m, "opened") for m in sms[1:2]]
        if self._silent is not None:
            phones.append(_silent_phone(self._silent))
        return phones


def _phone(message: dict[str, Any], state: str) -> dict[str, Any]:
    return {
        "kind": message["channel"],
        "language": message["language"],
        "state": state,
        "brand": re.split(r"[:\n]", message["body"], maxsplit=1)[0][:40],
        "text": message["body"],
        "subject": message["subject"],
        "link": message["link"],
        "score": message.get("score"),
        "reply": message.get("reply"),
        "time": now().astimezone(_ZONE).strftime("%H:%M"),
    }


def _silent_phone(decided: InvitationDecided) -> dict[str, Any]:
    """A phone that stays dark: by the hour on its owner's wall, with the reason or what the message waits for."""
    facts = decided.delivery
    return {
        "kind": "silent",
        "state": "silent",
        "time": now().astimezone(ZoneInfo(facts.zone)).strftime("%H:%M"),
        "reason": decided.reason,
        "waits": decided.evidence.get("held_by"),
        "why": f"/demo/why/{quote(facts.delivery_id, safe='')}",
    }
