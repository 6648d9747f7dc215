"""Processes that stand still, are taken for dead, and go on as if nothing had happened."""

import asyncio
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.topics import INVITATION_DECIDED, RESPONSE_RECORDED
from services.chassis.postgres import connect
from tests.faults.running_system import RunningSystem
from tests.faults.waiting import until
from tests.mail_server import mail_server

_SESSION_TIMEOUT = 10.0
_LEASE = 4.0
_MAIL_TIMEOUT = 3.0
_MAIL_LEASE = 2 * _MAIL_TIMEOUT + 5
"""A mail may take two time-outs, and no lease is shorter than what is sent under it."""


async def _positions(system: RunningSystem) -> dict[tuple[str, int], int]:
    """How far the topics are read that never rest under load."""
    connection = await connect(system.settings, "aggregator")
    busy = [RESPONSE_RECORDED, INVITATION_DECIDED]
    rows = await connection.fetch("SELECT topic, part, next FROM progress WHERE topic = ANY($1)", busy)
    await connection.close()
    return {(r["topic"], r["part"]): r["next"] for r in rows}


async def test_a_paused_aggregator_is_replaced_and_counts_nothing_twice_when_it_wakes(system: RunningSystem) -> None:
    with system.second("aggregator"):
        async with system.load(rate=30):
            await asyncio.sleep(4)  # the second has joined
            system.pause("aggregator")
            paused = time.monotonic()
            before = await _positions(system)

            async def all_are_read_on() -> bool:
                if time.monotonic() - paused > _SESSION_TIMEOUT + 2:
                    system.wake("aggregator")
                now = await _positions(system)
                return all(now[p] > at for p, at in before.items())

            taken_over = await until(all_are_read_on, "every partition to be read on")
            await asyncio.sleep(max(0.0, paused + _SESSION_TIMEOUT + 2 - time.monotonic()))
            system.wake("aggregator")
            await asyncio.sleep(2)
        print(f"all partitions were read on {taken_over:.1f} s after SIGSTOP")
        await system.check()


async def test_a_notifier_paused_beyond_its_lease_hands_nothing_over_twice(system: RunningSystem) -> None:
    with system.second("notifier"):
        async with system.load(rate=50):
            await asyncio.sleep(3)
            system.pause("notifier")
            await asyncio.sleep(1.5 * _LEASE)
            system.wake("notifier")
            await asyncio.sleep(2)
        await system.check()


@dataclass
class Provider:
    """A mail provider that takes its time, forgets nothing and drops no duplicates."""

    accepted: Counter[str] = field(default_factory=Counter)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.accepted.update(envelope.rcpt_tos)
        await asyncio.sleep(0.5)
        return "250 OK"


async def test_a_provider_gets_no_mail_twice_from_notifiers_that_are_paused_or_killed_while_they_send(
    system: RunningSystem,
) -> None:
    """Mail, since the viewer would drop a second hand-over by itself and hide it."""
    system.supervisor.hold("notifier")
    provider = Provider()
    async with mail_server(provider) as port:
        mail = {
            "CHANNEL": "smtp",
            "SMTP_PORT": str(port),
            "SMTP_TIMEOUT_SECONDS": str(_MAIL_TIMEOUT),
            "LIVE_SENDING_UNTIL": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
            "IN_DOUBT_DEADLINE_SECONDS": "6",
        }
        doubted = 0
        with system.second("notifier", INSTANCE="third", **mail) as stays:
            with system.second("notifier", INSTANCE="fourth", **mail) as dies:
                async with system.load(rate=30):
                    await until(_true_when(lambda: provider.accepted.total() > 30), "mail")
                    os.kill(stays.pid, signal.SIGSTOP)
                    await asyncio.sleep(1.5 * _MAIL_LEASE)
                    dies.kill()
                    os.kill(stays.pid, signal.SIGCONT)
                    await asyncio.sleep(2)
                    doubted = await system.number("notifier", "SELECT count(*) FROM invitation WHERE fence > 1")
            open_states = "('planned', 'claimed', 'calling', 'in_doubt')"
            settled = f"SELECT count(*) FROM invitation WHERE kind = 'ask' AND state IN {open_states}"
            unread = "SELECT count(*) FROM decision"

            async def nothing_pending() -> bool:
                return (await system.number("notifier", settled), await system.number("notifier", unread)) == (
                    0,
                    system.published,
                )

            await until(nothing_pending, "every mail's fate to be known")
    assert doubted > 0
    assert provider.accepted.most_common(1)[0][1] == 1
    system.supervisor.release("notifier")
    await system.check()


def _true_when(holds: Any) -> Any:
    async def ask() -> bool:
        return bool(holds())

    return ask
