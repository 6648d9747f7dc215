"""Nobody outside is reached by accident: by default nobody, with a permission a list or everybody."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from pydantic import SecretStr

from schemas.delivery import ChannelKind, ContactChannel
from services.chassis.environment import load_settings
from services.chassis.failures import MustStop
from services.chassis.metrics import Metrics
from services.chassis.sealing import Seal
from services.chassis.settings import Settings
from services.notifier.app import choose_channel
from services.notifier.channels.viewer import OutboxViewer
from services.notifier.policy import normalised
from services.notifier.send_guard import check_permission, persons_allowed, who_is_reached

SEAL = Seal(b"s" * 32)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RESERVED = re.compile(r"\+46701740(6(0[5-9]|[1-9]\d)|69\d+|\d{7})|\+468(465004)\d\d|\+46701740(60?)?")
"""Numbers that PTS keeps for films and tests, and such that are too long or too short to be dialled."""


def person(kind: ChannelKind, address: str) -> bytes:
    return SEAL.pseudonym(normalised(ContactChannel(kind=kind, address=address)))


@pytest.mark.parametrize("channel", ["outbox", "smtp", "providers"])
@pytest.mark.parametrize(
    ("ahead", "complaint"),
    [
        (None, "KVITTERA_LIVE_SENDING_UNTIL"),
        (timedelta(days=400), "366 days"),
        (timedelta(days=365), None),
        (timedelta(days=-1), None),
    ],
)
def test_a_live_channel_starts_only_with_a_permission_that_expires(
    channel: Literal["outbox", "smtp", "providers"], ahead: timedelta | None, complaint: str | None
) -> None:
    settings = Settings(channel=channel, live_sending_until=None if ahead is None else datetime.now(UTC) + ahead)
    if channel == "outbox":
        assert isinstance(choose_channel(settings, None, SEAL, Metrics()), OutboxViewer)  # type: ignore[arg-type]
    elif complaint is not None:
        with pytest.raises(MustStop, match=complaint):
            choose_channel(settings, None, SEAL, Metrics())  # type: ignore[arg-type]  # no pool is needed to refuse
    else:
        check_permission(settings, datetime.now(UTC), Metrics())


def test_until_when_people_may_be_reached_is_shown_also_when_it_is_over() -> None:
    metrics, name = Metrics(), "kvittera_sending_permitted_until_timestamp_seconds"
    assert metrics.registry.get_sample_value(name) == 0
    check_permission(Settings(channel="smtp", live_sending_until=NOW - timedelta(hours=1)), NOW, metrics)
    assert metrics.registry.get_sample_value(name) == datetime(2026, 11, 22, 11, tzinfo=UTC).timestamp()


def test_without_any_setting_nobody_outside_is_reached() -> None:
    settings = load_settings({})
    assert settings.channel == "outbox"
    with pytest.raises(MustStop, match="reaches real people"):
        check_permission(settings, NOW, Metrics())


def test_a_list_of_addresses_stands_for_their_persons_however_they_are_written() -> None:
    allowed = persons_allowed(' Astrid@Mottagare.example, +46 70-174 06 34\n{"endpoint": "https://a", "x": 1}\n', SEAL)
    assert allowed is not None
    assert person(ChannelKind.EMAIL, "astrid@mottagare.example") in allowed
    assert person(ChannelKind.SMS, "+46701740634") in allowed
    assert person(ChannelKind.PUSH, '{"endpoint": "https://a", "x": 1}') in allowed
    assert person(ChannelKind.EMAIL, "bo@mottagare.example") not in allowed
    assert person(ChannelKind.SMS, "+46701740635") not in allowed


@pytest.mark.parametrize(
    ("only_to", "allowed"), [("*", None), (" * \n", None), ("", frozenset()), (" ,\n", frozenset())]
)
def test_an_empty_list_is_nobody_and_only_a_star_is_everybody(only_to: str, allowed: frozenset[bytes] | None) -> None:
    assert persons_allowed(only_to, SEAL) == allowed


def test_the_list_may_stand_in_a_file_and_an_empty_file_is_nobody(tmp_path: Path) -> None:
    file = tmp_path / "testers"
    file.write_text("", encoding="utf-8")
    settings = load_settings({"KVITTERA_SEND_ONLY_TO_FILE": str(file)})
    assert persons_allowed(settings.send_only_to.get_secret_value(), SEAL) == frozenset()
    assert load_settings({}).send_only_to == SecretStr("*")


@pytest.mark.parametrize(
    ("channel", "until", "only_to", "words"),
    [
        ("outbox", None, "*", "nobody outside: messages stay in the outbox viewer"),
        ("smtp", None, "*", "nobody: the permission for smtp is over or was never given"),
        ("smtp", NOW, "*", "nobody: the permission for smtp is over or was never given"),
        ("smtp", NOW + timedelta(hours=1), "*", "everybody, until 2026-11-22 13:00 UTC"),
        ("smtp", NOW + timedelta(hours=1), "", "listed addresses only, 0 of them, until 2026-11-22 13:00 UTC"),
        (
            "smtp",
            NOW + timedelta(hours=1),
            "a@b.example,c",
            "listed addresses only, 2 of them, until 2026-11-22 13:00 UTC",
        ),
    ],
)
def test_who_is_reached_is_told_in_words_and_without_an_address(
    channel: Literal["outbox", "smtp"], until: datetime | None, only_to: str, words: str
) -> None:
    settings = Settings(channel=channel, live_sending_until=until, send_only_to=SecretStr(only_to))
    assert who_is_reached(settings, NOW) == words


def test_every_swedish_number_in_the_repository_is_one_that_nobody_has(repository: Path) -> None:
    files = [p for part in ("tests", "services", "schemas", "docs") for p in (repository / part).rglob("*")]
    found = {
        (str(path.relative_to(repository)), number)
        for path in files
        if path.suffix in {".py", ".md", ".toml", ".json", ".yaml", ".csv", ".txt", ".po", ".js", ".html"}
        for number in re.findall(r"(?<![\w+])\+46\d{6,14}\b", path.read_text(encoding="utf-8"))
        if not RESERVED.fullmatch(number)
    }
    assert found == set()
