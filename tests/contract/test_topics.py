"""The topic cards keep the promises that partners and operators rely on."""

import ast
import json
import sys
from dataclasses import FrozenInstanceError, replace
from datetime import timedelta
from pathlib import Path

import pytest

from schemas import dead_letter, topics
from schemas.generate import json_schema
from schemas.topics import CARDS

DAY_MS = 86_400_000

# name: (key, owner, writers, readers, partitions, cleanup, days kept, carries addresses, has dead letters)
CARDS_BY_HAND = {
    "delivery.completed.v1": ("delivery id", "notifier", "upstream", "notifier", 6, "delete", 7, True, True),
    "delivery.corrected.v1": (
        "delivery id",
        "notifier",
        "upstream",
        "notifier",
        6,
        "delete",
        28,
        False,
        True,
    ),
    "delivery.disruption.v1": (
        "disruption id",
        "notifier",
        "upstream",
        "notifier aggregator",
        1,
        "delete",
        28,
        False,
        True,
    ),
    "invitation.decided.v1": (
        *("delivery id", "notifier", "notifier", "survey aggregator"),
        *(6, "delete", 400, False, True),
    ),
    "invitation.progress.v1": (
        *("delivery id", "survey", "notifier survey", "aggregator"),
        *(6, "delete", 400, False, True),
    ),
    "response.recorded.v1": (
        *("response id", "survey", "survey", "notifier survey aggregator"),
        *(6, "delete", 400, False, True),
    ),
    "delivery.contested.v1": ("delivery id", "survey", "survey", "partners", 6, "delete", 28, False, False),
    "preference.changed.v1": (
        *("person id", "survey", "notifier survey", "notifier"),
        *(6, "compact", 28, False, True),
    ),
    "preference.changed.v1.dlq": ("person id", "survey", "notifier", "", 1, "delete", 14, False, False),
    "person.erased.v1": ("person id", "notifier", "notifier", "survey", 6, "delete", 400, False, True),
    "person.erased.v1.dlq": ("person id", "notifier", "survey", "", 1, "delete", 14, False, False),
    "session.ended.v1": ("member", "survey", "survey", "notifier aggregator", 1, "delete", 7, False, True),
    "session.ended.v1.dlq": ("member", "survey", "notifier aggregator", "", 1, "delete", 14, False, False),
    "feedback.case.v1": (
        *("case id", "survey", "survey", "aggregator partners"),
        *(6, "delete", 400, False, True),
    ),
    "feedback.praise.v1": ("praise id", "survey", "survey", "partners", 6, "delete", 28, False, False),
    "satisfaction.cells.v1": ("cell key", "aggregator", "aggregator", "", 6, "compact", 7, False, False),
    "satisfaction.alert.v1": ("alert id", "aggregator", "aggregator", "", 1, "delete", 400, False, False),
    "delivery.completed.v1.dlq": ("delivery id", "notifier", "notifier", "", 1, "delete", 14, True, False),
    "delivery.corrected.v1.dlq": ("delivery id", "notifier", "notifier", "", 1, "delete", 14, False, False),
    "delivery.disruption.v1.dlq": (
        "disruption id",
        "notifier",
        "notifier aggregator",
        "",
        1,
        "delete",
        14,
        False,
        False,
    ),
    "invitation.decided.v1.dlq": (
        *("delivery id", "notifier", "survey aggregator", ""),
        *(1, "delete", 14, False, False),
    ),
    "invitation.progress.v1.dlq": ("delivery id", "survey", "aggregator", "", 1, "delete", 14, False, False),
    "response.recorded.v1.dlq": (
        *("response id", "survey", "notifier survey aggregator", ""),
        *(1, "delete", 14, False, False),
    ),
    "feedback.case.v1.dlq": ("case id", "survey", "aggregator", "", 1, "delete", 14, False, False),
}


def test_the_cards_say_what_was_agreed() -> None:
    said = {
        card.name: (
            *(card.key, card.owner, " ".join(card.producers), " ".join(card.consumers)),
            *(card.partitions, card.cleanup, card.retention.days, card.pii, card.dead_letter is not None),
        )
        for card in CARDS.values()
    }

    assert said == CARDS_BY_HAND


def test_every_card_tells_a_partner_in_sentences_what_to_know() -> None:
    for card in CARDS.values():
        assert len(card.title) > 10
        assert card.about.endswith(".")


def test_every_name_constant_names_a_card() -> None:
    constants = {
        value for name, value in vars(topics).items() if name.isupper() and isinstance(value, str) and ".v1" in value
    }

    assert constants == {name for name in CARDS if not name.endswith(".dlq")}


def test_every_topic_that_a_service_reads_has_a_dead_letter_topic() -> None:
    for card in CARDS.values():
        if set(card.consumers) & {"notifier", "survey", "aggregator"}:
            assert card.dead_letter == card.name + ".dlq"
            assert CARDS[card.dead_letter].max_message_bytes > card.max_message_bytes


def test_addresses_live_in_one_topic_and_its_dead_letters_for_less_than_thirty_days() -> None:
    carriers = [card for card in CARDS.values() if card.pii]

    assert [card.name for card in carriers] == ["delivery.completed.v1", "delivery.completed.v1.dlq"]
    assert all(card.retention < timedelta(days=30) for card in carriers)


def test_no_other_topic_has_a_place_for_addresses_names_or_comments() -> None:
    for card in CARDS.values():
        if card.model is None or card.pii:
            continue
        schema = json_schema(card)
        parts = [schema, *schema.get("$defs", {}).values()]
        fields = {field for part in parts for field in part.get("properties", {})}

        assert not fields & {
            "pii",
            "address",
            "channels",
            "app_token",
            "comment",
            "name",
            "phone",
            "email",
            "contact",
        }


def test_kafka_keeps_records_by_the_moment_of_appending() -> None:
    assert {card.config()["message.timestamp.type"] for card in CARDS.values()} == {"LogAppendTime"}


def test_a_deleted_topic_is_configured_by_age() -> None:
    assert CARDS["delivery.completed.v1"].config() == {
        "cleanup.policy": "delete",
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": "262144",
        "retention.ms": str(7 * DAY_MS),
    }


def test_a_compacted_topic_keeps_its_last_values_for_ever_and_its_tombstones_for_a_week() -> None:
    assert CARDS["satisfaction.cells.v1"].config() == {
        "cleanup.policy": "compact",
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": "262144",
        "retention.ms": "-1",
        "delete.retention.ms": str(7 * DAY_MS),
        "min.compaction.lag.ms": "60000",
        "max.compaction.lag.ms": str(DAY_MS),
        "segment.ms": str(DAY_MS),
    }


def test_a_card_cannot_be_changed_but_copied() -> None:
    card = CARDS["delivery.completed.v1"]

    assert replace(card, partitions=12).partitions == 12
    with pytest.raises(FrozenInstanceError):
        card.partitions = 12  # type: ignore[misc]


def test_dead_letter_headers_are_the_published_ones() -> None:
    assert dead_letter.HEADERS == (
        "kvittera_dlq_reason",
        "kvittera_dlq_detail",
        "kvittera_dlq_topic",
        "kvittera_dlq_partition",
        "kvittera_dlq_offset",
        "kvittera_dlq_at",
        "kvittera_dlq_service",
    )


def test_the_contract_needs_pydantic_and_nothing_of_ours() -> None:
    allowed = {*sys.stdlib_module_names, "pydantic", "pydantic_core", "schemas"}
    folder = Path(__file__).parents[2] / "schemas"
    paths = list(folder.glob("*.py"))
    assert len(paths) > 5
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []

            assert {name.split(".")[0] for name in names} <= allowed, path.name


def test_examples_name_made_up_people_and_places_only() -> None:
    folder = Path(__file__).parents[2] / "schemas" / "examples"
    paths = list(folder.glob("delivery.completed.v1/valid-*.json"))
    assert len(paths) > 1
    for path in paths:
        for channel in json.loads(path.read_text(encoding="utf-8")).get("pii", {}).get("channels", []):
            assert (
                channel["kind"] == "app"
                or channel["address"].endswith(".example")
                or "+46701740605" <= channel["address"] <= "+46701740699"
            )


def test_a_topic_is_named_in_the_sources_of_each_service_of_ours_that_writes_it(repository: Path) -> None:
    constants = {name: constant for constant, name in vars(topics).items() if isinstance(name, str)}
    for card in (c for c in CARDS.values() if c.model is not None):
        for folder in (repository / "services" / writer for writer in card.producers if writer != "upstream"):
            sources = [p.read_text(encoding="utf-8") for kind in ("py", "sql") for p in folder.rglob(f"*.{kind}")]
            assert any(card.name in s or constants[card.name] in s for s in sources), f"{folder.name}: {card.name}"
