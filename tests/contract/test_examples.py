"""Every example file is right or wrong as its name says, to the models and to the published schemas alike."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.cloudevents import ContractError, Event, decode
from schemas.topics import CARDS

SCHEMAS = Path(__file__).parents[2] / "schemas"
EXAMPLES = sorted((SCHEMAS / "examples").glob("*/*.json"))

# Wrong examples that JSON Schema cannot refuse, and why.
BEYOND_JSON_SCHEMA = {
    "delivery.completed.v1/invalid-attempt-with-decimals": "JSON Schema calls 1.0 an integer",
    "delivery.completed.v1/invalid-lone-surrogate": "a pattern cannot name surrogates in every dialect",
    "delivery.completed.v1/invalid-moment-in-year-2262": "the limit holds in UTC",
    "delivery.completed.v1/invalid-moment-on-the-31st-of-february": "a pattern knows no calendar",
    "delivery.completed.v1/invalid-no-json": "there is nothing to validate",
    "delivery.completed.v1/invalid-hand-overs-out-of-order": "neighbours are compared",
    "delivery.completed.v1/invalid-promise-ends-before-it-begins": "two fields are compared",
    "delivery.completed.v1/invalid-zone-well-formed-but-unknown": "the list of zones changes every year",
    "delivery.corrected.v1/invalid-facts-corrected-without-facts": "one field depends on another",
    "delivery.corrected.v1/invalid-facts-of-another-delivery": "two fields are compared",
    "delivery.disruption.v1/invalid-ends-before-it-starts": "two fields are compared",
    "invitation.decided.v1/invalid-suppressed-without-reason": "one field depends on another",
    "response.recorded.v1/invalid-score-with-decimals": "JSON Schema calls 5.0 an integer",
    "satisfaction.cells.v1/invalid-count-with-decimals": "JSON Schema calls 245.0 an integer",
}


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def published(topic: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / "json" / f"{topic}.schema.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema)


def read(path: Path) -> Any:
    model = CARDS[path.parent.name].model
    assert model is not None
    return decode(model, Event(id="", source="", type="", data=path.read_bytes()))


def with_unknown_fields(node: Any) -> Any:
    match node:
        case dict() if "country" in node or "delivery" in node or "kind" in node:
            return {key: with_unknown_fields(value) for key, value in node.items()} | {"from_tomorrow": {"a": [1]}}
        case dict():
            return {key: with_unknown_fields(value) for key, value in node.items()}
        case list():
            return [with_unknown_fields(value) for value in node]
    return node


def test_every_topic_with_a_model_has_right_and_wrong_examples() -> None:
    for card in CARDS.values():
        if card.model is not None:
            kinds = [path.name.split("-")[0] for path in EXAMPLES if path.parent.name == card.name]

            assert kinds.count("valid") >= 2, card.name
            assert kinds.count("invalid") >= 3, card.name


def test_every_example_says_in_its_name_whether_it_is_right() -> None:
    assert {path.name.split("-")[0] for path in EXAMPLES} == {"valid", "invalid"}
    assert {path.parent.name for path in EXAMPLES} <= CARDS.keys()


def test_the_table_of_exceptions_names_examples_that_exist() -> None:
    assert BEYOND_JSON_SCHEMA.keys() <= {name_of(path) for path in EXAMPLES}


@pytest.mark.parametrize("path", [p for p in EXAMPLES if p.name.startswith("valid-")], ids=name_of)
def test_a_valid_example_is_read_and_matches_the_published_schema(path: Path) -> None:
    message = read(path)

    published(path.parent.name).validate(json.loads(path.read_bytes()))
    published(path.parent.name).validate(json.loads(message.model_dump_json()))


@pytest.mark.parametrize("path", [p for p in EXAMPLES if p.name.startswith("valid-")], ids=name_of)
def test_a_valid_example_survives_being_written_and_read_again(path: Path) -> None:
    message = read(path)

    written = Event(id="", source="", type="", data=message.model_dump_json().encode())

    assert decode(type(message), written) == message


@pytest.mark.parametrize("path", [p for p in EXAMPLES if p.name.startswith("valid-")], ids=name_of)
def test_a_reader_of_today_reads_a_writer_of_tomorrow_who_adds_fields(path: Path) -> None:
    message = read(path)
    tomorrow = json.dumps(with_unknown_fields(json.loads(path.read_bytes())) | {"more": None}).encode()

    assert decode(type(message), Event(id="", source="", type="", data=tomorrow)) == message


@pytest.mark.parametrize("path", [p for p in EXAMPLES if p.name.startswith("valid-")], ids=name_of)
def test_the_published_schema_is_closed_to_unknown_fields(path: Path) -> None:
    tomorrow = json.loads(path.read_bytes()) | {"more": None}

    assert not published(path.parent.name).is_valid(tomorrow)


@pytest.mark.parametrize("path", [p for p in EXAMPLES if p.name.startswith("invalid-")], ids=name_of)
def test_an_invalid_example_is_refused_by_the_model(path: Path) -> None:
    with pytest.raises(ContractError):
        read(path)


@pytest.mark.parametrize("path", [p for p in EXAMPLES if p.name.startswith("invalid-")], ids=name_of)
def test_an_invalid_example_is_refused_by_the_published_schema_unless_it_cannot_be(path: Path) -> None:
    if name_of(path) == "delivery.completed.v1/invalid-no-json":
        with pytest.raises(json.JSONDecodeError):
            json.loads(path.read_bytes())
        return

    refused = not published(path.parent.name).is_valid(json.loads(path.read_bytes()))

    assert refused is (name_of(path) not in BEYOND_JSON_SCHEMA)
