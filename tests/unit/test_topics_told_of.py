"""Topics that were just made are there for whoever reads them next."""

from types import SimpleNamespace
from typing import Any

import pytest

from schemas.topics import CARDS, RESPONSE_RECORDED
from services.chassis import topic_admin
from services.chassis.failures import MustStop
from services.chassis.settings import Settings
from services.chassis.topic_admin import apply_topics

SETTINGS = Settings(sealing_key="5e" * 32)


class Broker:
    """Makes topics at once and tells of them from the `looks`-th look on."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.asked = 0

    async def list_topics(self) -> list[str]:
        self.asked += 1
        return [RESPONSE_RECORDED] if self.asked >= self.looks else []

    async def create_topics(self, _: object) -> Any:
        return SimpleNamespace(topic_errors=[(RESPONSE_RECORDED, 0, None)])

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def broker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Broker:
    found = Broker(request.param)

    async def opened(_: Settings) -> Broker:
        return found

    monkeypatch.setattr(topic_admin, "_open", opened)
    return found


@pytest.mark.parametrize("broker", [4], indirect=True)
async def test_made_topics_are_told_of_before_anybody_is_told_that_they_are_there(broker: Broker) -> None:
    assert await apply_topics(SETTINGS, [CARDS[RESPONSE_RECORDED]]) == [RESPONSE_RECORDED]
    assert broker.asked == 4  # once for what is there before


@pytest.mark.parametrize("broker", [10**9], indirect=True)
async def test_a_broker_that_never_tells_of_made_topics_ends_the_wait(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_admin, "_TOLD_WITHIN", 0.05)
    with pytest.raises(MustStop, match="does not tell of"):
        await apply_topics(SETTINGS, [CARDS[RESPONSE_RECORDED]])
    assert broker.asked > 0
