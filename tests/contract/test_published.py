"""What is checked in for partners to read is what the models and the cards say."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from faststream.specification.asyncapi.v3_0_0.schema import ApplicationSchema
from jsonschema import Draft7Validator, Draft202012Validator

from schemas.asyncapi import document
from schemas.generate import FOLDER, json_schema, stale, to_yaml, write
from schemas.partners import PARTNER_CARD, partner_topic
from schemas.topics import CARDS

PUBLISHED = sorted((FOLDER / "json").glob("*.schema.json"))


def asyncapi() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "asyncapi.yaml").read_text(encoding="utf-8"))
    return loaded


def objects(node: Any) -> list[dict[str, Any]]:
    """Return every JSON object in `node`, itself included."""
    if isinstance(node, dict):
        return [node, *(found for value in node.values() for found in objects(value))]
    return [found for value in node for found in objects(value)] if isinstance(node, list) else []


def resolve(tree: dict[str, Any], reference: str) -> Any:
    """Follow a reference inside the AsyncAPI document or into a file beside it."""
    if reference.startswith("./"):
        return json.loads((FOLDER / reference).read_text(encoding="utf-8"))
    node: Any = tree
    for step in reference.removeprefix("#/").split("/"):
        node = node[step]
    return node


def test_the_checked_in_files_are_what_make_schemas_writes() -> None:
    assert stale() == [], "run `make schemas` and commit what changed"


def test_writing_brings_a_stale_folder_up_to_date(tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "json", tmp_path / "json")
    (tmp_path / "json" / "feedback.case.v1.schema.json").write_text("{}")
    (tmp_path / "json" / "feedback.praise.v1.schema.json").unlink()
    (tmp_path / "json" / "gone.v1.schema.json").write_text("{}")
    expected = [
        "asyncapi.yaml",
        "json/feedback.case.v1.schema.json",
        "json/feedback.praise.v1.schema.json",
        "json/gone.v1.schema.json",
    ]

    assert stale(tmp_path) == expected
    assert write(tmp_path) == expected
    assert stale(tmp_path) == []
    assert write(tmp_path) == []


def test_there_is_a_schema_for_every_topic_with_a_model() -> None:
    assert [path.name.removesuffix(".schema.json") for path in PUBLISHED] == [
        "delivery.completed.v1",
        "delivery.contested.v1",
        "delivery.corrected.v1",
        "delivery.disruption.v1",
        "feedback.case.v1",
        "feedback.praise.v1",
        "invitation.decided.v1",
        "invitation.progress.v1",
        "person.erased.v1",
        "preference.changed.v1",
        "response.recorded.v1",
        "satisfaction.alert.v1",
        "satisfaction.cells.v1",
        "satisfaction.partner.v1",
        "session.ended.v1",
    ]


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.name)
def test_a_published_schema_is_valid_named_and_closed_everywhere(path: Path) -> None:
    schema = json.loads(path.read_text(encoding="utf-8"))
    topic = path.name.removesuffix(".schema.json")

    Draft202012Validator.check_schema(schema)
    Draft7Validator.check_schema(schema)  # the dialect that AsyncAPI tools read
    assert schema["$id"] == f"urn:kvittera:schema:{topic}"
    card = PARTNER_CARD if topic == PARTNER_CARD.name else CARDS[topic]
    assert schema["title"] == card.title
    assert schema["description"] == card.about
    closed = [part for part in objects(schema) if part.get("type") == "object"]
    assert closed
    assert all(part["additionalProperties"] is False for part in closed)


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.name)
def test_a_published_schema_describes_every_field(path: Path) -> None:
    schema = json.loads(path.read_text(encoding="utf-8"))
    definitions = schema.get("$defs", {})
    for part in (schema, *definitions.values()):
        for name, field in part.get("properties", {}).items():
            target = definitions.get(field.get("$ref", "").rpartition("/")[2], {})

            assert field.get("description") or target.get("description"), name


def test_a_dead_letter_topic_has_no_schema() -> None:
    with pytest.raises(ValueError, match="not ours to describe"):
        json_schema(CARDS["delivery.completed.v1.dlq"])


def test_the_asyncapi_file_says_what_the_cards_say() -> None:
    assert asyncapi() == document({**CARDS, PARTNER_CARD.name: PARTNER_CARD})


def test_the_asyncapi_document_is_understood_by_another_implementation() -> None:
    understood = ApplicationSchema.model_validate(asyncapi())

    assert understood.asyncapi == "3.0.0"
    partners = "satisfaction.partner.{partner}.v1"
    assert {channel.address for channel in understood.channels.values()} == {*CARDS, partners}
    assert {operation.action.value for operation in understood.operations.values()} == {"send", "receive"}


def test_the_topics_of_partners_are_one_channel_with_the_partner_as_its_parameter() -> None:
    channel = asyncapi()["channels"]["satisfaction.partner.v1"]
    assert channel["address"].format(partner="fjallbod") == partner_topic("fjallbod")
    assert list(channel["parameters"]) == ["partner"]
    assert "topic" not in channel["bindings"]["kafka"]
    assert asyncapi()["components"]["messages"]["SatisfactionPartnerV1"]["payload"] == {
        "$ref": "./json/satisfaction.partner.v1.schema.json"
    }


def test_every_reference_in_the_asyncapi_document_leads_somewhere() -> None:
    tree = asyncapi()
    references = [part["$ref"] for part in objects(tree) if "$ref" in part]

    assert len(references) > len(CARDS)
    for reference in references:
        assert isinstance(resolve(tree, reference), dict), reference


def test_every_service_finds_its_operations_in_the_asyncapi_document() -> None:
    operations = asyncapi()["operations"]

    assert {name for name in operations if name.startswith("aggregator.")} == {
        "aggregator.receive.invitation.decided.v1",
        "aggregator.receive.invitation.progress.v1",
        "aggregator.receive.response.recorded.v1",
        "aggregator.receive.feedback.case.v1",
        "aggregator.receive.session.ended.v1",
        "aggregator.receive.delivery.disruption.v1",
        "aggregator.send.delivery.disruption.v1.dlq",
        "aggregator.send.satisfaction.alert.v1",
        "aggregator.send.satisfaction.cells.v1",
        "aggregator.send.satisfaction.partner.v1",
        "aggregator.send.invitation.decided.v1.dlq",
        "aggregator.send.invitation.progress.v1.dlq",
        "aggregator.send.response.recorded.v1.dlq",
        "aggregator.send.feedback.case.v1.dlq",
        "aggregator.send.session.ended.v1.dlq",
    }
    assert operations["survey.send.response.recorded.v1"]["channel"] == {"$ref": "#/channels/response.recorded.v1"}


@pytest.mark.parametrize(
    "node",
    [
        {
            "a": {},
            "b": [],
            "c": None,
            "d": True,
            "e": -1,
            "f": 1.5,
            "g": "",
            "h": "no",
            "i": "1.0",
            "j": "å: #x",
        },
        {
            "yes": [["a", {"b": "c", "d": [1]}], [[]], {}],
            "$ref": "#/x",
            "1": "2026-11-20",
            "quote'\"": "a\nb",
        },
        ["~", "null", "- a", "a ", "*a", "&a", "!a", "%a", "0x1f", "1e3", ".5", "on"],
        {},
        "text",
    ],
)
def test_our_yaml_is_read_as_what_it_was(node: Any) -> None:
    assert yaml.safe_load(to_yaml(node)) == node
