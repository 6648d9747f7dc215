"""The models are strict in what matters: numbers, moments, zones, names and vocabularies."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from schemas.cloudevents import ContractError, Event, decode
from schemas.contract import Contract, field_names
from schemas.delivery import DeliveryCompleted, DeliveryFacts
from schemas.generate import json_schema
from schemas.invitation import InvitationDecided
from schemas.response import ResponseRecorded
from schemas.topics import CARDS, DELIVERY_COMPLETED

EXAMPLES = Path(__file__).parents[2] / "schemas" / "examples"
FULL: dict[str, Any] = json.loads(
    (EXAMPLES / DELIVERY_COMPLETED / "valid-home-evening-with-all-facts.json").read_text(encoding="utf-8")
)
RIGHT = [
    (path.parent.name, json.loads(path.read_text(encoding="utf-8"))) for path in sorted(EXAMPLES.glob("*/valid-*.json"))
]
VALIDATORS = {card.name: Draft202012Validator(json_schema(card)) for card in CARDS.values() if card.model is not None}
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10)
    | st.floats(0, 6)
    | st.text(max_size=5)
    | st.sampled_from(["", "a b", "SE", "sv", "Europe/Oslo", "home", "5", "2026-11-20T10:00:00Z", "\x00", "x" * 70]),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)


def accepts(**facts: object) -> bool:
    """Tell whether a delivery with `facts` changed is read."""
    changed = FULL | {"delivery": FULL["delivery"] | facts}
    try:
        decode(DeliveryCompleted, Event(id="", source="", type="", data=json.dumps(changed).encode()))
    except ContractError:
        return False
    return True


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every (container, key) below `node`."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        yield node, key
        yield from places(value)


@pytest.mark.parametrize("score", ["5", 5.0, True, 0, 6, -1, 2**70, [5], {}])
def test_only_whole_numbers_from_one_to_five_are_scores(score: object) -> None:
    whole = json.loads((EXAMPLES / "response.recorded.v1" / "valid-smiley-chips-and-comment.json").read_text())

    with pytest.raises(ContractError, match="schema: score"):
        decode(
            ResponseRecorded,
            Event(id="", source="", type="", data=json.dumps(whole | {"score": score}).encode()),
        )


@pytest.mark.parametrize(
    "moment",
    [
        "1970-01-01T00:00:00Z",
        "2261-12-31T23:59:59.999999Z",
        "2026-11-20T18:42:10+01:00",
        "2026-11-20T18:42:10.123456789-09:30",
        "2026-11-20t18:42:10z",
        "1969-12-31T23:00:00-02:00",
    ],
)
def test_a_moment_is_rfc_3339_text_with_an_offset(moment: str) -> None:
    assert accepts(occurred_at=moment)


@pytest.mark.parametrize(
    "moment",
    [
        "2026-11-20T18:42:10",
        "2026-11-20",
        "2026-11-20 18:42:10Z",
        "20261120T184210Z",
        "1795196530",
        1795196530,
        1795196530.5,
        True,
        None,
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-11-20T25:00:00Z",
        "2026-11-20T18:42:10Z\n",
        "1969-12-31T23:59:59Z",
        "2262-01-01T00:00:00Z",
        "2261-12-31T23:00:00-02:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_anything_else_is_no_moment(moment: object) -> None:
    assert not accepts(occurred_at=moment)


@pytest.mark.parametrize("zone", ["Europe/Stockholm", "UTC", "America/Argentina/Ushuaia", "Etc/GMT+5"])
def test_a_zone_is_one_of_the_iana_database(zone: str) -> None:
    assert accepts(zone=zone)


@pytest.mark.parametrize(
    "zone",
    [
        "",
        "CEST+1",
        "Europe/Atlantis",
        "europe/stockholm",
        "../../etc/passwd",
        "/etc/localtime",
        "localtime",
        "Factory",
    ],
)
def test_anything_else_is_no_zone(zone: str) -> None:
    assert not accepts(zone=zone)


@pytest.mark.parametrize("text", ["a\x00b", "a\nb", "a\x7fb", "a\x85b", "", "x" * 121, 5])
def test_a_name_holds_no_control_characters_and_is_short(text: object) -> None:
    assert not accepts(terminal=text)


@pytest.mark.parametrize("text", ["Luleå", "Tråd & Knapp", "Ålesund 🎈", "x" * 120])
def test_a_name_may_be_any_other_text(text: str) -> None:
    assert accepts(terminal=text)


@pytest.mark.parametrize("text", ["", "a b", "å", "a/b", "a\n", "x" * 65, 5])
def test_an_identifier_is_short_and_plain(text: object) -> None:
    assert not accepts(delivery_id=text)


def test_an_unknown_field_is_ignored_when_read() -> None:
    assert accepts(from_tomorrow={"a": [1]})


def test_contact_data_appears_in_no_error_of_the_models() -> None:
    broken = copy.deepcopy(FULL)
    broken["pii"]["channels"][0] = {"kind": "carrier pigeon", "address": "canary\x00"}

    with pytest.raises(ValueError, match="2 validation errors") as caught:
        DeliveryCompleted.model_validate_json(json.dumps(broken))

    assert "canary" not in str(caught.value)
    assert "pigeon" not in str(caught.value)


def test_services_may_build_messages_from_python_values() -> None:
    facts = DeliveryFacts.model_validate(FULL["delivery"])

    decided = InvitationDecided(
        delivery=facts, revision=1, outcome="scheduled", decided_at=facts.occurred_at, matched=["too_old"]
    )

    assert decided.delivery.zone == "Europe/Stockholm"
    assert decided.matched == ("too_old",)


def test_every_field_of_every_message_is_documented() -> None:
    models = {*Contract.__subclasses__(), *(card.model for card in CARDS.values() if card.model is not None)}
    undocumented = [
        f"{model.__name__}.{name}"
        for model in models
        for name, field in model.model_json_schema()["properties"].items()
        if not field.get("description")
    ]
    assert len(models) > 15
    assert undocumented == []


def test_field_names_are_those_of_all_models() -> None:
    assert {"delivery_id", "address", "basis", "sla_due_at", "postcode_prefixes", "scores"} <= field_names()


@settings(max_examples=300)
@given(st.sampled_from(RIGHT), st.data())
def test_what_a_model_reads_its_published_schema_allows(right: tuple[str, dict[str, Any]], data: st.DataObject) -> None:
    topic, message = right[0], copy.deepcopy(right[1])
    container, key = data.draw(st.sampled_from(list(places(message))))
    container[key] = data.draw(json_values)
    model = CARDS[topic].model
    assert model is not None

    try:
        decode(model, Event(id="", source="", type="", data=json.dumps(message).encode()))
    except ContractError:
        return

    VALIDATORS[topic].validate(message)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_a_contract_error(data: bytes) -> None:
    for card in CARDS.values():
        if card.model is not None:
            with pytest.raises(ContractError):
                decode(card.model, Event(id="", source="", type="", data=data))
