"""How our own loop reads: it asks the broker to wait no longer than the service allows."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.chassis import own_feed
from services.chassis.consumer import Reader


class MadeError(Exception):
    """The consumer has been asked for."""


@pytest.mark.parametrize(("chosen", "waits"), [({}, 100), ({"fetch_wait_ms": 25}, 25)])
async def test_the_broker_waits_for_records_as_long_as_the_service_allows(
    chosen: dict[str, int], waits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def make(*_: object, **how: object) -> None:
        asked.append(how)
        raise MadeError

    async def prepare(_: asyncio.Event) -> bool:
        return True

    monkeypatch.setattr(own_feed, "make_consumer", make)
    fence = SimpleNamespace(group="g", service="aggregator")
    reader = cast("Reader[Any]", SimpleNamespace(prepare=prepare, settings=None, fence=fence, member=None))
    with pytest.raises(MadeError):
        await own_feed.consume(reader, asyncio.Event(), max_records=1, **chosen)
    assert [how["fetch_max_wait_ms"] for how in asked] == [waits]
