"""What the demo's page takes from the topics: records that keep the contract, and no word of others."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.demo.runtime import Demo
from services.demo.scene import Scene

DECIDED, ANSWERED = "invitation.decided.v1", "response.recorded.v1"


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr("services.demo.scene.StaffLinks", lambda _: None)
    recipients = SimpleNamespace(recent=[], replied=[])
    return Scene(cast("Demo", SimpleNamespace(settings=None, recipients=recipients)))


def records(topic: str, *values: bytes | None) -> list[Any]:
    return [SimpleNamespace(topic=topic, value=value) for value in values]


@pytest.mark.parametrize("topic", [DECIDED, ANSWERED])
@pytest.mark.parametrize(
    "value", [b"\x00\xff", b"{", b"[]", b"7", b"{}", b'{"outcome": "suppressed"}', b"", None], ids=repr
)
def test_a_record_that_nobody_can_read_is_no_dot_and_ends_nothing(
    scene: Scene, topic: str, value: bytes | None
) -> None:
    assert scene._sample(topic, records(topic, value)) == []
    assert scene._phones() == []


def test_a_delivery_that_is_not_asked_about_darkens_a_phone_with_its_reason(scene: Scene, repository: Path) -> None:
    folder = repository / "schemas/examples" / DECIDED
    not_asked = (folder / "valid-suppressed-with-two-reasons.json").read_bytes()
    asked = (folder / "valid-asked.json").read_bytes()
    assert scene._sample(DECIDED, records(DECIDED, asked, not_asked)) == [
        {"stretch": 1, "kind": "asked", "score": None},
        {"stretch": 1, "kind": "suppressed", "score": None},
    ]
    [phone] = scene._phones()
    assert (phone["kind"], phone["reason"]) == ("silent", "opted_out")
