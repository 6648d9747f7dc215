"""The AsyncAPI 3.0 document of all topics, built from the topic cards."""

from collections.abc import Iterator, Mapping
from typing import Any

from schemas import dead_letter
from schemas.topics import TopicCard

_ABOUT = (
    "Kvittera asks people how their delivery went and turns the answers into live numbers and actions. Its "
    "services talk through these Kafka topics only. Records are CloudEvents 1.0 in binary mode: the value is "
    "JSON, the attributes are ce_* headers."
)
_MEANINGS = {
    "ce_specversion": "Always 1.0.",
    "ce_id": "Unique together with ce_source; the same record sent again keeps it.",
    "ce_source": "Who wrote the record.",
    "ce_type": "What happened; the name of the topic.",
    "ce_time": "When the record was made, RFC 3339.",
    "ce_subject": "What it happened to.",
    "traceparent": "W3C trace context.",
}
_DEAD_LETTER_MEANINGS = {
    dead_letter.REASON: "One word: why it was given up.",
    dead_letter.DETAIL: "Places and kinds of error, never a value.",
    dead_letter.TOPIC: "The topic that it was read from.",
    dead_letter.PARTITION: "Its partition, in decimal.",
    dead_letter.OFFSET: "Its offset, in decimal.",
    dead_letter.AT: "When it was given up, RFC 3339.",
    dead_letter.SERVICE: "The service that gave it up.",
    dead_letter.LEFT_OUT: "How many bytes were left out; only where the record was too large to be kept whole.",
}


def document(cards: Mapping[str, TopicCard]) -> dict[str, Any]:
    """Return the AsyncAPI document of `cards` as plain data; a template is a channel with a parameter.

    Payloads point at the JSON Schema files by paths relative to the folder `schemas`.
    """
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Kvittera",
            "version": "1.0.0",
            "description": _ABOUT,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {card.name: _channel(card) for card in cards.values()},
        "operations": dict(_operations(cards)),
        "components": {"messages": {_message_name(card): _message(card) for card in cards.values()}},
    }


def _message_name(card: TopicCard) -> str:
    return "".join(word.capitalize() for word in card.name.split("."))


def _channel(card: TopicCard) -> dict[str, Any]:
    config = card.config()
    topic_configuration: dict[str, Any] = {
        "cleanup.policy": [card.cleanup],
        "retention.ms": int(config["retention.ms"]),
        "max.message.bytes": card.max_message_bytes,
    }
    if "delete.retention.ms" in config:
        topic_configuration["delete.retention.ms"] = int(config["delete.retention.ms"])
    name = _message_name(card)
    return {
        **_address(card),
        "title": card.title,
        "description": card.about,
        "messages": {name: {"$ref": f"#/components/messages/{name}"}},
        "tags": [{"name": f"owner:{card.owner}"}, *([{"name": "pii"}] if card.pii else [])],
        "bindings": {
            "kafka": {
                **({} if card.parameter else {"topic": card.name}),
                "partitions": card.partitions,
                "topicConfiguration": topic_configuration,
                "bindingVersion": "0.5.0",
            }
        },
        **({"x-dead-letter": card.dead_letter} if card.dead_letter else {}),
    }


def _address(card: TopicCard) -> dict[str, Any]:
    if card.parameter is None:
        return {"address": card.name}
    name, about = card.parameter
    family, _, version = card.name.rpartition(".")
    return {"address": f"{family}.{{{name}}}.{version}", "parameters": {name: {"description": about}}}


def _operations(cards: Mapping[str, TopicCard]) -> Iterator[tuple[str, dict[str, Any]]]:
    for card in cards.values():
        sides = [("send", service) for service in card.producers]
        sides += [("receive", service) for service in card.consumers]
        for action, service in sides:
            verb = "writes" if action == "send" else "reads"
            yield (
                f"{service}.{action}.{card.name}",
                {
                    "action": action,
                    "title": f"{service} {verb} {card.name}",
                    "channel": {"$ref": f"#/channels/{card.name}"},
                    "messages": [{"$ref": f"#/channels/{card.name}/messages/{_message_name(card)}"}],
                    "tags": [{"name": service}],
                },
            )


def _message(card: TopicCard) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": card.name,
        "title": card.title,
        "headers": _headers(card),
        "bindings": {
            "kafka": {"key": {"type": "string", "description": f"The {card.key}."}, "bindingVersion": "0.5.0"}
        },
    }
    if card.model is None:
        payload = {"description": "The value of the record that was given up, byte for byte."}
        return message | {"contentType": "application/octet-stream", "payload": payload}
    return message | {
        "contentType": "application/json",
        "payload": {"$ref": f"./json/{card.name}.schema.json"},
    }


def _headers(card: TopicCard) -> dict[str, Any]:
    meanings = _MEANINGS if card.model is not None else _DEAD_LETTER_MEANINGS
    required = ["ce_specversion", "ce_id", "ce_source", "ce_type"] if card.model is not None else [*dead_letter.HEADERS]
    if "upstream" in card.producers:
        required = []  # plain JSON records are welcome there
    return {
        "type": "object",
        "required": required,
        "properties": {name: {"type": "string", "description": text} for name, text in meanings.items()},
    }
