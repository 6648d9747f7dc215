"""The doctor finds what is wrong with an installation, and says what to do."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAuthorizationFailedError
from pydantic import SecretStr

from schemas.topics import CARDS
from services.aggregator.counting.cuts import read_cuts
from services.aggregator.counting.stored_cuts import StoredCuts
from services.chassis.kafka import make_admin, make_client
from services.chassis.postgres import connect
from services.chassis.settings import Settings
from services.chassis.topic_admin import Difference, apply_topics
from services.doctor.cuts import cuts
from services.doctor.examination import examine
from services.doctor.findings import Finding
from services.doctor.gateways import gateways
from services.doctor.kafka import kafka
from services.doctor.postgres import postgres
from services.doctor.rights import rights
from services.doctor.storage import keys, keys_of_tables, months, outboxes, tables
from services.doctor.topics import partitions, topics
from services.doctor.way_out import addresses, reminders, sending, staff
from services.doctor.written import written
from tests.harness import until


async def test_an_installation_with_everything_in_place_has_no_ill(settings: Settings) -> None:
    await apply_topics(settings, tuple(CARDS.values()))
    found = await examine(settings, [keys, written, kafka, topics, partitions, rights, tables, addresses, sending])
    assert [f for f in found if f.verdict == "ill"] == []
    assert Finding("topics", "well", f"all {len(CARDS)} are as their cards say") in found
    assert Finding("Kafka rights", "well", "this account may read and write as the services do") in found
    assert [f.what for f in found if f.verdict == "look"] == ["Kafka access", "Kafka copies", "link host"]


@pytest.mark.parametrize(
    ("given", "verdict", "found"),
    [
        ({"http_host": "127.0.0.1"}, "well", "KVITTERA_STAFF_SIGN_IN=off"),
        ({"http_host": "0.0.0.0"}, "look", "shut, since nobody can sign in"),
        ({"http_published_on_loopback": True, "staff_sign_in": "demo"}, "well", "KVITTERA_STAFF_SIGN_IN=demo"),
    ],
)
async def test_pages_that_no_member_of_staff_can_open_are_told_with_the_way_in(
    settings: Settings, given: dict[str, str], verdict: str, found: str
) -> None:
    [told] = await staff(settings.model_copy(update=given))
    assert (told.verdict, told.found) == (verdict, found)
    assert ("KVITTERA_STAFF_SIGN_IN=oidc" in told.do) == (verdict == "look")


async def test_a_postgresql_that_may_forget_is_ill_and_clocks_are_compared(settings: Settings) -> None:
    found = {f.what: f for f in await postgres(settings)}  # the tests' server runs with fsync off
    assert found["PostgreSQL durability"] == Finding(
        "PostgreSQL durability",
        "ill",
        "PostgreSQL would lose acknowledged answers in a crash: fsync=off",
        "set it to on",
    )
    assert found["PostgreSQL"].verdict == "well"
    assert found["PostgreSQL access"] == Finding("PostgreSQL access", "well", "encrypted, or on this machine")
    assert found["clocks"].verdict == "well"
    assert found["PostgreSQL copies"].found == "a commit waits for no standby"
    assert found["PostgreSQL copies"].verdict == "look"
    assert found["PostgreSQL vacuum"].verdict == "well"


async def test_what_is_counted_is_held_to_the_configured_cuts_and_late_answers_to_the_policy_of_reminders(
    settings: Settings, tmp_path: Path
) -> None:
    assert Finding("cuts", "well", "the first start takes the configured ones") in await cuts(settings)
    connection = await connect(settings, "aggregator")
    await StoredCuts().agree(connection, read_cuts(None).earlier[0])
    assert [(f.what, f.verdict) for f in await cuts(settings)] == [("cuts", "look")]  # no cut of waves is counted yet
    await connection.execute("TRUNCATE counted_cut, counting")
    await StoredCuts().agree(connection, read_cuts(None))
    await connection.close()
    (tmp_path / "hours.v1.toml").write_text("effective_from = 1970-01-01T00:00:00Z\nreminder_days = 5\n")
    own = settings.model_copy(update={"policies_folder": tmp_path, "lock_after_days": 4.5})
    told = {f.what: f for f in await cuts(own)}
    assert (told["cuts"].verdict, told["late answers"].verdict) == ("well", "look")
    assert told["late answers"].found == "the policy reminds after 5 days, and wave parts answers after 3"
    [late] = await reminders(own)
    assert (late.verdict, late.found) == ("look", "after 5 days; links take answers for 4.5")


async def test_a_table_that_is_mostly_dead_rows_is_named_with_the_command_against_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.doctor.storage._DEAD_ROWS", 50)
    connection = await connect(settings, "survey")
    await connection.execute(
        "CREATE TABLE full_of_dead WITH (autovacuum_enabled = off) AS SELECT generate_series(1, 100) n"
    )
    await connection.execute("DELETE FROM full_of_dead WHERE n > 10")
    await connection.execute("SELECT pg_stat_force_next_flush()")
    await connection.close()

    async def told() -> bool:
        found = {f.what: f for f in await tables(settings)}["tables of the survey"]
        return (found.verdict, found.found) == ("look", "many dead rows in full_of_dead") and found.do.startswith(
            "VACUUM (ANALYZE) survey.full_of_dead, "
        )

    await until(told)


@pytest.mark.parametrize(
    ("security", "lacks"),
    [
        ("plaintext", "neither encrypted nor with log-in"),
        ("sasl_plaintext", "with log-in, but not encrypted"),
        ("ssl", "encrypted, but without log-in"),
        ("sasl_ssl", None),
    ],
)
async def test_what_a_way_to_kafka_lacks_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, security: str, lacks: str | None
) -> None:
    monkeypatch.setattr("services.doctor.kafka.make_client", lambda _, **options: make_client(settings, **options))
    found = await kafka(settings.model_copy(update={"kafka_security": security}))
    assert [f.found for f in found if f.what == "Kafka access"] == ([lacks] if lacks else [])


async def test_a_topic_whose_unclean_election_was_switched_on_is_ill(settings: Settings) -> None:
    card = replace(CARDS["feedback.praise.v1"], name=f"{uuid.uuid4().hex[:8]}.praise.v1")
    await apply_topics(settings, [card])
    assert [f.verdict for f in await topics(settings, [card])] == ["well"]
    admin = make_admin(settings)
    await admin.start()
    try:
        changed = {**card.config(), "unclean.leader.election.enable": "true"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, card.name, changed)])

        async def told() -> bool:
            return [(f.what, f.verdict, f.found) for f in await topics(settings, [card])] == [
                (f"topic {card.name}", "ill", "unclean.leader.election.enable should be false, is true")
            ]

        await until(told)
    finally:
        await admin.delete_topics([card.name])
        await admin.close()


async def test_a_missing_migration_is_named(settings: Settings) -> None:
    connection = await connect(settings, "survey")
    await connection.execute("DELETE FROM migration WHERE name = '001_survey.sql'")
    await connection.close()
    found = {f.what: f for f in await tables(settings)}
    assert found["tables of the survey"] == Finding(
        "tables of the survey", "ill", "PostgreSQL schema survey lacks 001_survey.sql", "run `kvittera migrate`"
    )
    assert found["tables of the notifier"].verdict == "well"


@pytest.mark.parametrize("service", ["notifier", "survey"])
async def test_keys_of_another_installation_are_ill_and_the_settings_are_named(
    settings: Settings, service: str
) -> None:
    connection = await connect(settings, service)
    await connection.execute(
        "INSERT INTO person_key (person, wrapped, sealed_by) VALUES (decode(repeat('a1', 16), 'hex'), 'x', 'deadbeef')"
    )
    await connection.close()
    found = {f.what: f for f in await keys_of_tables(settings)}
    other = next(name for name in ("notifier", "survey") if name != service)
    assert found[f"keys of the {other}"] == Finding(f"keys of the {other}", "well", "they open what its tables hold")
    told = found[f"keys of the {service}"]
    assert (told.verdict, "KVITTERA_SEALING_KEYS_BEFORE do not open" in told.found) == ("ill", True)
    assert told.do.startswith("set the keys of this installation")


async def test_a_schema_without_tables_is_one_short_finding_and_none_about_months(settings: Settings) -> None:
    connection = await connect(settings, "survey")
    await connection.execute("DROP SCHEMA survey CASCADE")
    await connection.close()
    found = {f.what: f for f in [*await tables(settings), *await months(settings), *await outboxes(settings)]}
    assert found["tables of the survey"].found == "PostgreSQL schema survey lacks every table"
    assert [what for what in found if what.startswith("months of survey")] == []
    assert found["months of notifier.receipt"].verdict in {"well", "ill"}


async def test_a_kafka_that_refuses_to_tell_is_a_finding_and_not_the_end(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*_: object) -> list[Difference]:
        raise TopicAuthorizationFailedError

    monkeypatch.setattr("services.doctor.topics.compare_topics", refused)
    assert await examine(settings, [topics]) == [
        Finding(
            "topics",
            "ill",
            "cannot be looked at (TopicAuthorizationFailedError)",
            "let this account look, or ask as another: docs/how-to/connect-your-kafka.md names the rights for Kafka",
        )
    ]


async def test_topics_that_are_missing_are_counted_and_those_that_differ_are_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def compared(*_: object) -> list[Difference]:
        missing = [Difference(f"a{n}.b.v1", "topic", "exists", "missing") for n in range(5)]
        return [*missing, Difference("response.recorded.v1", "partitions", "6", "1")]

    monkeypatch.setattr("services.doctor.topics.compare_topics", compared)
    assert await topics(settings) == [
        Finding(
            "topics",
            "ill",
            f"5 of {len(CARDS)} are missing: a0.b.v1, a1.b.v1, a2.b.v1 and 2 more",
            "run `kvittera topics apply`",
        ),
        Finding(
            "topic response.recorded.v1",
            "ill",
            "partitions should be 6, is 1",
            "raise them as docs/how-to/raise-partitions.md says, or set KVITTERA_KAFKA_PARTITIONS=1",
        ),
    ]


async def test_servers_that_are_away_are_findings_and_not_the_end(settings: Settings) -> None:
    away = settings.model_copy(
        update={
            "kafka_bootstrap": "127.0.0.1:9",
            "postgres_dsn": SecretStr("postgresql://nobody@127.0.0.1:9/none"),
            "boot_patience_seconds": 0.0,
        }
    )
    found = {f.what: f for f in await examine(away, [kafka, topics, postgres, tables])}
    assert {f.verdict for f in found.values()} == {"ill"}
    assert found["kafka"].do == "check KVITTERA_KAFKA_BOOTSTRAP and that the brokers run"
    assert found["postgres"].do == "check KVITTERA_POSTGRES_DSN and that the server runs"


async def test_the_doctor_looks_at_the_months_by_itself(settings: Settings) -> None:
    found = {f.what: f.verdict for f in await examine(settings)}
    assert found["months of notifier.receipt"] == "well"
    assert found["months of survey.contact_view"] == "well"


async def test_records_that_wait_for_a_topic_that_is_gone_are_ill(settings: Settings) -> None:
    assert await outboxes(settings) == [Finding("outboxes", "well", "every record has its topic")]
    connection = await connect(settings, "survey")
    await connection.execute(
        "INSERT INTO outbox (shard, topic, key) SELECT 2, 'gone.v1', 'k' FROM generate_series(1, 3)"
    )
    await connection.execute("UPDATE outbox_waiting SET shard = 6")
    await connection.close()
    [found] = await outboxes(settings)
    assert (found.what, found.verdict) == ("outbox of the survey", "ill")
    assert found.found == "3 records wait for gone.v1, which Kafka does not have"


async def test_a_link_host_without_an_address_is_ill(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"public_url": "https://nobody-knows.invalid"})
    assert [f.verdict for f in await addresses(nowhere)] == ["ill"]
    https = settings.model_copy(update={"public_url": "https://localhost", "trusted_proxies": 1})
    assert await addresses(https) == [Finding("link host", "well", "localhost")]


async def test_a_mail_server_that_is_away_is_ill(settings: Settings) -> None:
    until = datetime.now(UTC) + timedelta(days=2)
    smtp = settings.model_copy(update={"channel": "smtp", "smtp_port": 9, "live_sending_until": until})
    [reached, server] = [*await sending(smtp), *await gateways(smtp)]
    assert reached == Finding("sending", "well", f"everybody, until {until:%Y-%m-%d %H:%M} UTC")
    assert server == Finding(
        "mail server",
        "ill",
        "127.0.0.1:9 refuses connections",
        "see that it runs, and listens at the port in KVITTERA_SMTP_HOST and KVITTERA_SMTP_PORT",
    )


async def test_only_the_outbox_viewer_is_said_to_reach_nobody(settings: Settings, tmp_path: Path) -> None:
    assert await sending(settings) == [Finding("sending", "well", "nobody outside: messages stay in the outbox viewer")]
    file = tmp_path / "providers.toml"
    file.write_text(
        '[[provider]]\nname = "post"\nadapter = "smtp"\nhost = "127.0.0.1"\nsender = "svar@nordposten.example"\n'
    )
    until = datetime.now(UTC) + timedelta(days=2)
    live = settings.model_copy(update={"channel": "providers", "providers_file": file, "live_sending_until": until})
    assert await sending(live) == [Finding("sending", "well", f"everybody, until {until:%Y-%m-%d %H:%M} UTC")]


@pytest.mark.parametrize("hours", [23, -1])
async def test_a_permission_that_ends_within_a_day_or_is_over_is_looked_at(settings: Settings, hours: int) -> None:
    until = datetime.now(UTC) + timedelta(hours=hours)
    [found] = await sending(settings.model_copy(update={"channel": "smtp", "live_sending_until": until}))
    assert (found.what, found.verdict) == ("sending", "look")
    assert found.found == (
        f"everybody, until {until:%Y-%m-%d %H:%M} UTC"
        if hours > 0
        else "nobody: the permission for smtp is over or was never given"
    )
    assert "KVITTERA_LIVE_SENDING_UNTIL" in found.do


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"live_sending_until": None}, "KVITTERA_LIVE_SENDING_UNTIL"),
        ({"providers_file": None}, "KVITTERA_PROVIDERS_FILE"),
        ({"providers_file": Path("no-such-file.toml")}, "no-such-file.toml"),
    ],
)
async def test_a_channel_that_the_notifier_would_refuse_is_ill(
    settings: Settings, given: dict[str, object], named: str
) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    live = settings.model_copy(update={"channel": "providers", "live_sending_until": until, **given})
    [found] = await examine(live, [sending])
    assert (found.what, found.verdict) == ("sending", "ill")
    assert named in found.found


async def test_a_host_whose_name_is_not_found_in_time_is_a_finding(settings: Settings) -> None:
    async def addresses(_: Settings) -> list[Finding]:
        raise TimeoutError

    [found] = await examine(settings, [addresses])
    assert found == Finding("addresses", "ill", "cannot be looked at (TimeoutError)", "check this machine's DNS")


@pytest.mark.parametrize("key", ["", "abc"])
async def test_a_broken_sealing_key_is_ill(settings: Settings, key: str) -> None:
    [found] = await examine(settings.model_copy(update={"sealing_key": SecretStr(key)}), [keys])
    assert found.verdict == "ill"
    assert "KVITTERA_SEALING_KEY" in found.found
