"""When a demo that is to run until it is done is done."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.demo import runtime


def demo(delivered: int) -> runtime.Demo:
    """After 90 deliveries of an earlier run, with 10 of its own that are all published and handled."""
    published = asyncio.Event()
    published.set()
    parts: dict[str, Any] = {
        "ledger": {"delivered": delivered, "asked": 80, "pending": 0},
        "delivered_before": 90,
        "upstream": SimpleNamespace(done=published, published=10),
        "recipients": SimpleNamespace(handled=8, asked_before=72),
        "supervisor": SimpleNamespace(kills={"notifier": 0}),
        "options": SimpleNamespace(kill=0),
        "settings": None,
    }
    return cast("runtime.Demo", SimpleNamespace(**parts))


@pytest.mark.parametrize(
    ("delivered", "done"),
    [(100, True), (99, False), (101, True)],
    ids=["all its own", "one is missing", "one more, left by an earlier run"],
)
async def test_a_demo_is_done_when_as_many_deliveries_are_decided_as_it_published(delivered: int, done: bool) -> None:
    assert await runtime._is_done(demo(delivered)) is done
