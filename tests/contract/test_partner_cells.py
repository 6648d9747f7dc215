"""What partners read: right and wrong values, to the model and to the published schema alike."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from schemas.cloudevents import ContractError, Event, decode
from schemas.partners import PartnerCell, partner_card

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas/json/satisfaction.partner.v1.schema.json").read_text("utf-8"))
UNIT = {
    "partner": "fjallbod",
    "cut": "merchant.method",
    "value": "Fjällbod × home_day",
    "grouped_units": None,
    "window": "month",
    "start": "2026-10",
    "version": 2,
    "scores": [1, 0, 2, 8, 14],
    "answers": 25,
    "k": 10,
    "grid": "day",
    "as_of": "2026-10-14T03:00:00+00:00",
}


def is_right(value: dict[str, Any]) -> bool:
    try:
        decode(PartnerCell, Event(id="", source="", type="", data=json.dumps(value).encode()))
    except ContractError:
        return False
    return True


@pytest.mark.parametrize("more", [{}, {"grouped_units": 3, "value": ""}, {"window": "week", "start": "2026-10-05"}])
def test_what_is_published_is_right(more: dict[str, Any]) -> None:
    assert is_right(UNIT | more)
    Draft202012Validator(SCHEMA).validate(UNIT | more)


@pytest.mark.parametrize(
    "wrong", [{"k": 9}, {"window": "hour"}, {"window": "day"}, {"scores": [1, 2, 3, 4]}, {"version": 0}]
)
def test_what_breaks_the_contract_is_refused_by_model_and_schema(wrong: dict[str, Any]) -> None:
    assert not is_right(UNIT | wrong)
    assert not Draft202012Validator(SCHEMA).is_valid(UNIT | wrong)


def test_a_partners_topic_is_compacted_with_one_partition_and_named_by_its_id() -> None:
    card = partner_card("fjallbod")
    assert (card.name, card.cleanup, card.partitions) == ("satisfaction.partner.fjallbod.v1", "compact", 1)
