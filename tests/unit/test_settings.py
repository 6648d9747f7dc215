"""Wrong settings stop the start by name; their values, which may be secrets, are never shown."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from schemas.contract import texts_below_fields
from services.chassis.environment import load_settings
from services.chassis.failures import MustStop
from services.chassis.settings import PREFIX, Settings, live_sending

CANARY = "CANARY-5f2c-hemligt"
TEXT_SETTINGS = {
    "KVITTERA_ALERT_CUTS",
    "KVITTERA_KAFKA_BOOTSTRAP",
    "KVITTERA_POSTGRES_DSN",
    "KVITTERA_KAFKA_CA_FILE",
    "KVITTERA_KAFKA_USERNAME",
    "KVITTERA_KAFKA_PASSWORD",
    "KVITTERA_HTTP_HOST",
    "KVITTERA_BRAND",
    "KVITTERA_HELP_PHONE",
    "KVITTERA_HELP_EMAIL",
    "KVITTERA_SEALING_KEY",
    "KVITTERA_SEND_ONLY_TO",
    "KVITTERA_SEALING_KEYS_BEFORE",
    "KVITTERA_PROVIDERS_FILE",
    "KVITTERA_PAGES_ZONE",
    "KVITTERA_QUALITY_NOTES_FILE",
    "KVITTERA_SMTP_HOST",
    "KVITTERA_OIDC_CLIENT_ID",
    "KVITTERA_OIDC_CLIENT_SECRET",
    "KVITTERA_OIDC_ROLE_CLAIM",
    "KVITTERA_OIDC_ROLE_PREFIX",
    "KVITTERA_SMTP_SENDER",
    "KVITTERA_CUTS_FILE",
    "KVITTERA_REVIEW_POLICY_FILE",
    "KVITTERA_POLICIES_FOLDER",
    "KVITTERA_SURVEYS_FOLDER",
    "KVITTERA_INSTANCE",
    "KVITTERA_INBOUND_URL_SECRET",
    "KVITTERA_INBOUND_TWILIO_TOKEN",
    "KVITTERA_INBOUND_WHATSAPP_SECRET",
    "KVITTERA_OUTCOME_TEXT_SECRET",  # as the next one, where words to persons are put together
    "KVITTERA_INBOUND_SECRETS",  # read where the API is put together: a wrong one stops the start there
}
"""Any text is a possible value of these; all others are numbers, words of a list, moments or patterns."""


def test_nothing_set_means_the_defaults() -> None:
    settings = load_settings({})
    assert settings.kafka_bootstrap == "127.0.0.1:9092"
    assert settings.channel == "outbox"
    assert settings.live_sending_until is None
    assert settings.allow_unsafe_postgres is False


def test_settings_come_from_the_given_environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVITTERA_BRAND", "from the process")
    assert load_settings({"KVITTERA_STALL_SECONDS": "7.5"}).brand == "Nordposten Demo"
    assert load_settings({"KVITTERA_STALL_SECONDS": "7.5"}).stall_seconds == 7.5
    assert load_settings().brand == "from the process"


def test_a_setting_may_be_written_in_any_case() -> None:
    assert load_settings({"kvittera_brand": "Nordposten", "Kvittera_Smtp_Port": "2525"}).brand == "Nordposten"
    assert load_settings({"kvittera_brand": "Nordposten", "Kvittera_Smtp_Port": "2525"}).smtp_port == 2525


def test_unknown_settings_stop_the_start_by_name_and_never_echo_their_values() -> None:
    with pytest.raises(MustStop) as stopped:
        load_settings({"KVITTERA_KAFKA_BOOTSTARP": CANARY, "KVITTERA_DSN": CANARY, "PATH": "/bin"})
    assert str(stopped.value) == (
        "unknown setting KVITTERA_DSN, KVITTERA_KAFKA_BOOTSTARP (perhaps KVITTERA_KAFKA_BOOTSTRAP);"
        " docs/settings.md lists all settings"
    )


@pytest.mark.parametrize(
    "name", sorted(n for n in (PREFIX + f.upper() for f in Settings.model_fields) if n not in TEXT_SETTINGS)
)
def test_a_wrong_value_stops_the_start_by_the_settings_name_and_is_not_shown(name: str) -> None:
    with pytest.raises(MustStop) as stopped:
        load_settings({name: CANARY})
    assert str(stopped.value).startswith(f"wrong setting {name}: ")
    assert CANARY not in str(stopped.value)
    assert stopped.value.__cause__ is None
    assert stopped.value.__suppress_context__


@pytest.mark.parametrize("text", ["inf", "nan"])
def test_a_time_without_end_is_no_number_of_days(text: str) -> None:
    with pytest.raises(MustStop, match="wrong setting KVITTERA_COMMENT_KEEP_DAYS"):
        load_settings({"KVITTERA_COMMENT_KEEP_DAYS": text})


def test_all_wrong_settings_are_named_at_once() -> None:
    with pytest.raises(MustStop) as stopped:
        load_settings({"KVITTERA_SMTP_PORT": "0", "KVITTERA_LOG_LEVEL": "loud", "KVITTERA_SEND_CONCURRENCY": "many"})
    assert str(stopped.value).count("KVITTERA_") == 3


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_is_for(name: str) -> None:
    description = texts_below_fields(Settings)[name]
    assert len(description) >= 10
    assert description.endswith((".", ")"))


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    settings = Settings(postgres_dsn=SecretStr(f"postgresql://u:{CANARY}@h/d"), sealing_key=SecretStr(CANARY))
    assert CANARY not in repr(settings)
    assert CANARY not in str(settings)
    assert CANARY not in settings.model_dump_json()


@pytest.mark.parametrize(
    ("until", "now", "live"),
    [
        (None, datetime(2026, 11, 22, tzinfo=UTC), False),
        (datetime(2026, 11, 22, 12, tzinfo=UTC), datetime(2026, 11, 22, 11, 59, 59, tzinfo=UTC), True),
        (datetime(2026, 11, 22, 12, tzinfo=UTC), datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC), False),
        (datetime(2026, 11, 22, 12, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC), False),
    ],
)
def test_live_sending_is_on_only_before_the_named_moment(until: datetime | None, now: datetime, live: bool) -> None:
    assert live_sending(Settings(live_sending_until=until), now) is live


def test_a_moment_without_an_offset_does_not_turn_live_sending_on() -> None:
    with pytest.raises(MustStop, match="KVITTERA_LIVE_SENDING_UNTIL"):
        load_settings({"KVITTERA_LIVE_SENDING_UNTIL": (datetime(2099, 1, 1) + timedelta(0)).isoformat()})  # noqa: DTZ001


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_text("postgresql://kvittera@db.example/kvittera\n")
    found = load_settings({"KVITTERA_POSTGRES_DSN_FILE": str(tmp_path / "dsn")})
    assert found.postgres_dsn.get_secret_value() == "postgresql://kvittera@db.example/kvittera"


def test_a_secret_file_that_cannot_be_read_stops_the_start_by_name(tmp_path: Path) -> None:
    with pytest.raises(MustStop) as stopped:
        load_settings({"KVITTERA_SEALING_KEY_FILE": str(tmp_path / CANARY)})
    assert str(stopped.value) == (
        "wrong setting KVITTERA_SEALING_KEY_FILE: the file cannot be read (FileNotFoundError)"
    )


def test_a_secret_and_a_file_for_it_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(MustStop, match="KVITTERA_SEALING_KEY and KVITTERA_SEALING_KEY_FILE are both set"):
        load_settings({"KVITTERA_SEALING_KEY": "x", "KVITTERA_SEALING_KEY_FILE": str(tmp_path / "key")})


def test_only_secrets_may_stand_in_files(tmp_path: Path) -> None:
    with pytest.raises(MustStop, match="unknown setting KVITTERA_BRAND_FILE"):
        load_settings({"KVITTERA_BRAND_FILE": str(tmp_path / "brand")})
