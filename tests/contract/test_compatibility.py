"""No change may break a reader or a writer of a released contract (see schemas/released/README.md)."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import jsoncompat
import pytest

from schemas.generate import json_schema
from schemas.topics import CARDS, DELIVERY_COMPLETED, RESPONSE_RECORDED

RELEASED = Path(__file__).parents[2] / "schemas" / "released"
Schema = dict[str, Any]


def known_yesterday(old: Any, new: Any) -> Any:
    """Return `new` without the fields that `old` does not name: what a tolerant reader of yesterday sees."""
    if isinstance(old, list) and isinstance(new, list):
        return [known_yesterday(*pair) for pair in zip(old, new, strict=False)] + new[len(old) :]
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    seen = {name: known_yesterday(old[name], part) if name in old else part for name, part in new.items()}
    if isinstance(old.get("properties"), dict) and isinstance(seen.get("properties"), dict):
        fields = seen["properties"] = {n: part for n, part in seen["properties"].items() if n in old["properties"]}
        seen["required"] = [name for name in seen.get("required", []) if name in fields]
    return seen


def patterns(schema: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield the place and the text of every pattern; of the tool that compares schemas only newer releases see them."""
    parts = schema.items() if isinstance(schema, dict) else enumerate(schema) if isinstance(schema, list) else ()
    for name, part in parts:
        if name == "pattern" and isinstance(part, str):
            yield place, part
        yield from patterns(part, f"{place}/{name}")


def changed_patterns(old: Schema, new: Schema) -> set[str]:
    """Return the places whose pattern changed, came or went, of those that both schemas have."""
    before, after = dict(patterns(old)), dict(patterns(new))
    return {
        place
        for place in before.keys() | after.keys()
        if before.get(place) != after.get(place) and has(old, place) and has(new, place)
    }


def has(schema: Any, place: str) -> bool:
    """Tell whether `schema` has a part at `place`."""
    for step in place.strip("/").split("/"):
        if isinstance(schema, list) and step.isdigit() and int(step) < len(schema):
            schema = schema[int(step)]
        elif isinstance(schema, dict) and step in schema:
            schema = schema[step]
        else:
            return False
    return True


def without_patterns(schema: Any) -> Any:
    """Return the schema as every release of the tool sees it."""
    if isinstance(schema, list):
        return [without_patterns(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {n: without_patterns(part) for n, part in schema.items() if n != "pattern" or not isinstance(part, str)}


def judged_compatible(old: Schema, new: Schema, role: Literal["serializer", "deserializer"]) -> bool:
    """Ask jsoncompat, which cannot follow references in a schema that has an `$id`."""
    before, after = (
        json.dumps({n: part for n, part in without_patterns(schema).items() if n != "$id"}) for schema in (old, new)
    )
    return bool(jsoncompat.check_compat(before, after, role))


def broken(topic: str, old: Schema, new: Schema) -> list[str]:
    """Say in words which promise to partners `new` breaks; an empty list means none."""
    found = []
    if not judged_compatible(old, new, "deserializer"):
        found.append("today's reader refuses what yesterday's writer wrote")
    ours = "upstream" not in CARDS[topic].producers
    if ours and not judged_compatible(old, known_yesterday(old, new), "serializer"):
        found.append("yesterday's reader refuses what today's writer writes")
    found += [f"the pattern at {place} changed" for place in sorted(changed_patterns(old, new))]
    return found


def broken_since_release(released: Path) -> dict[str, list[str]]:
    """Compare every released schema below `released` with today's contract; return what broke, by file."""
    found: dict[str, list[str]] = {}
    for path in sorted(released.glob("*/*.schema.json")):
        topic = path.name.removesuffix(".schema.json")
        name = f"{path.parent.name}/{topic}"
        if topic not in CARDS:
            found[name] = ["the topic is gone"]
        elif words := broken(topic, json.loads(path.read_text(encoding="utf-8")), json_schema(CARDS[topic])):
            found[name] = words
    return found


def changed(topic: str, change: Callable[[Schema], object]) -> tuple[Schema, Schema]:
    """Return today's schema of `topic` and one in which `change` was made."""
    old = json_schema(CARDS[topic])
    new = copy.deepcopy(old)
    change(new)
    return old, new


def facts(schema: Schema) -> Schema:
    part: Schema = schema["$defs"]["DeliveryFacts"]
    return part


def drop_a_required_field(schema: Schema) -> None:
    del facts(schema)["properties"]["carrier"]
    facts(schema)["required"].remove("carrier")


def drop_an_optional_field(schema: Schema) -> None:
    del facts(schema)["properties"]["terminal"]


def narrow_a_vocabulary(schema: Schema) -> None:
    schema["$defs"]["Method"]["enum"].remove("neighbour")


def widen_a_vocabulary(schema: Schema) -> None:
    schema["$defs"]["Method"]["enum"].append("drone")


def require_an_optional_field(schema: Schema) -> None:
    facts(schema)["required"].append("terminal")


def make_a_required_field_optional(schema: Schema) -> None:
    facts(schema)["required"].remove("carrier")


def shorten_a_text(schema: Schema) -> None:
    facts(schema)["properties"]["carrier"]["maxLength"] = 20


def change_a_pattern(schema: Schema) -> None:
    facts(schema)["properties"]["country"]["pattern"] = "^(SE|NO)$"


def add_an_optional_field(schema: Schema) -> None:
    facts(schema)["properties"]["weather"] = {"type": "string", "pattern": "^[a-z]+$"}


def add_a_required_field(schema: Schema) -> None:
    add_an_optional_field(schema)
    facts(schema)["required"].append("weather")


def reword_a_description(schema: Schema) -> None:
    schema["description"] = "Something clearer."


READER = "today's reader refuses what yesterday's writer wrote"
WRITER = "yesterday's reader refuses what today's writer writes"
COUNTRY = "the pattern at /$defs/DeliveryFacts/properties/country changed"


def test_no_released_contract_is_broken() -> None:
    assert broken_since_release(RELEASED) == {}


@pytest.mark.parametrize("topic", [card.name for card in CARDS.values() if card.model is not None])
def test_a_contract_is_compatible_with_itself(topic: str) -> None:
    schema = json_schema(CARDS[topic])

    assert broken(topic, schema, schema) == []


@pytest.mark.parametrize(
    ("change", "for_a_topic_we_read", "for_a_topic_we_write"),
    [
        (drop_a_required_field, [READER], [READER, WRITER]),
        (drop_an_optional_field, [READER], [READER]),
        (narrow_a_vocabulary, [READER], [READER]),
        (widen_a_vocabulary, [], [WRITER]),
        (require_an_optional_field, [READER], [READER]),
        (make_a_required_field_optional, [], [WRITER]),
        (shorten_a_text, [READER], [READER]),
        (change_a_pattern, [COUNTRY], [COUNTRY]),
        (add_an_optional_field, [], []),
        (add_a_required_field, [READER], [READER]),
        (reword_a_description, [], []),
    ],
)
def test_the_gate_tells_breaking_changes_from_harmless_ones(
    change: Callable[[Schema], None], for_a_topic_we_read: list[str], for_a_topic_we_write: list[str]
) -> None:
    assert broken(DELIVERY_COMPLETED, *changed(DELIVERY_COMPLETED, change)) == for_a_topic_we_read
    assert broken(RESPONSE_RECORDED, *changed(RESPONSE_RECORDED, change)) == for_a_topic_we_write


def test_the_gate_finds_a_released_field_or_topic_that_is_gone(tmp_path: Path) -> None:
    folder = tmp_path / "1.0.0"
    folder.mkdir()
    _, yesterday = changed(RESPONSE_RECORDED, lambda schema: schema["properties"].update(mood={"type": "string"}))
    (folder / "response.recorded.v1.schema.json").write_text(json.dumps(yesterday))
    (folder / "parcel.weighed.v1.schema.json").write_text("{}")
    (folder / "delivery.completed.v1.schema.json").write_text(json.dumps(json_schema(CARDS[DELIVERY_COMPLETED])))

    assert broken_since_release(tmp_path) == {
        "1.0.0/parcel.weighed.v1": ["the topic is gone"],
        "1.0.0/response.recorded.v1": [READER],
    }
