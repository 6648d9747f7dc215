"""Requests drawn at random from the OpenAPI document, right and wrong ones, and the judge of what comes back.

Small and quick: a request costs microseconds to draw, so that thousands are sent in a plain run. schemathesis draws
beside it (tests/integration/test_api_any_input.py), with more imagination and at a thousand times the cost.
"""

import json
import random
import re
import string
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator

from tests.asgi import Reply

STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 6, 11, 1.5, 1e308, 10**30, -(10**30)),
    *(
        "",
        " ",
        "0",
        "null",
        "1",
        "x" * 3000,
        "\x00",
        "\ud800",
        "🙂" * 40,
        "\u202e",
        "å̈" * 9,
        "' OR 1=1 --",
        "%00",
        "{{7*7}}",
    ),
    *([], [None], [[]], ["on_time"] * 30, {}, {"$ref": "#"}, {"a": {"b": {}}}),
)
NO_JSON = (
    b"",
    b" ",
    b"{",
    b"[]]",
    b"nul",
    b'{"a":1,}',
    b"\xff\xfe{}",
    b"\xef\xbb\xbf{}",
    b'{"score":NaN}',
    b"[" * 9000,
)
STRANGE_TEXT = ("", " ", "*", "\t", 'W/"1"', '"0"', '"1", "2"', "å", "x" * 300, "0", "-1", "1e9", "null", "\u00ff")
LARGEST = 20
"""Letters in most texts drawn; limits are met too."""
_ALPHABET = string.ascii_letters + "åäöÅÄÖ 0123456789.,-_@+\n"
_BY_PATTERN: Mapping[str, Callable[[random.Random], str]] = {
    "^[A-Za-z0-9_-]{22}$": lambda dice: "".join(dice.choices(string.ascii_letters + "_-", k=22)),
    "^[a-z]{2}$": lambda dice: dice.choice(("sv", "nb", "en", "pl", "xx")),
    r"^[\x21-\x7e]{1,255}$": lambda dice: f"k-{dice.randrange(400)}",
    "^[A-Za-z0-9-]{16,64}/[1-9][0-9]{0,5}$": lambda dice: f"{dice.randrange(40):016}/{dice.randrange(1, 9)}",
}
_MOMENTS = ("2026-11-22T10:00:00Z", "2026-11-22t10:00:00.123456789+01:00", "1970-01-01T00:00:00-12:00")


@dataclass(frozen=True)
class Drawn:
    """A request: what `tests.asgi.ask` takes. `right`: nothing in its body breaks the document."""

    operation: str
    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    right: bool


@dataclass
class Drawer:
    """Draws requests for the operations of a document; the same seed draws the same ones."""

    document: Mapping[str, Any]
    dice: random.Random
    operations: dict[str, tuple[str, str, Mapping[str, Any]]] = field(init=False)

    def __post_init__(self) -> None:
        self.operations = {
            told["operationId"]: (method.upper(), path, told)
            for path, methods in self.document["paths"].items()
            for method, told in methods.items()
        }
        self._validators: dict[str, Draft202012Validator] = {}

    def draw(self, operation: str, known: Mapping[str, Any]) -> Drawn:
        """One request; `known` gives `headers`, `path` and `body` that open doors, which most requests have."""
        method, path, told = self.operations[operation]
        headers = {p["name"]: self.value(p["schema"]) for p in self._parameters(told, "header")}
        for parameter in self._parameters(told, "path"):
            path = path.replace(f"{{{parameter['name']}}}", self._identifier(known))
        body, right = self._body(told, known)
        headers |= {"content-type": "application/json"} if "requestBody" in told else {}
        if self.dice.random() < 0.9:
            headers |= known["headers"](body)
        if self.dice.random() < 0.15:
            self._spoil_headers(headers)
        return Drawn(operation, method, path, list(headers.items()), body, right)

    def judge(self, drawn: Drawn, reply: Reply) -> None:
        """Fail unless the document foresees this reply, and nothing wrong was taken."""
        told = self.operations[drawn.operation][2]["responses"].get(str(reply.status))
        assert reply.status < 500, drawn
        assert told is not None, f"{reply.status} is not documented: {drawn}"
        kind = reply.headers.get("content-type", "").partition(";")[0]
        assert kind in told.get("content", {}), f"{kind} is not documented: {drawn}"
        wrong = list(self._validator(told["content"][kind]["schema"]).iter_errors(reply.json))
        assert not wrong, (wrong, drawn)
        for name, header in told.get("headers", {}).items():
            value = reply.headers.get(name.lower())
            assert value is not None or not header.get("required"), (name, drawn)
            assert value is None or re.search(header["schema"]["pattern"], value), (name, value, drawn)
        assert drawn.right or reply.status >= 400, f"taken although it breaks the document: {drawn}"

    # -- values --

    def value(self, schema: Mapping[str, Any]) -> Any:
        """A value that a schema allows."""
        schema = self._resolved(schema)
        if "anyOf" in schema:
            return self.value(self.dice.choice(schema["anyOf"]))
        if "const" in schema or "enum" in schema:
            return self.dice.choice(schema.get("enum") or [schema["const"]])
        return self._of_type[schema["type"]](schema)

    @property
    def _of_type(self) -> Mapping[str, Callable[[Mapping[str, Any]], Any]]:
        return {
            "object": self._object,
            "array": lambda schema: [self.value(schema["items"]) for _ in range(self.dice.randrange(4))],
            "integer": lambda schema: self.dice.randint(schema["minimum"], schema["maximum"]),
            "boolean": lambda _: self.dice.random() < 0.5,
            "null": lambda _: None,
            "string": self._text,
        }

    def _object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        needed = schema.get("required", ())
        chosen = [n for n in schema["properties"] if n in needed or self.dice.random() < 0.4]
        return {name: self.value(schema["properties"][name]) for name in chosen}

    def _text(self, schema: Mapping[str, Any]) -> str:
        if schema.get("format") == "date-time":
            return self.dice.choice(_MOMENTS)
        if "pattern" in schema:
            return _BY_PATTERN[schema["pattern"]](self.dice)
        shortest, longest = schema.get("minLength", 0), schema.get("maxLength", LARGEST)
        at_limit = self.dice.random() < 0.05
        length = self.dice.choice((shortest, longest)) if at_limit else self.dice.randint(shortest, LARGEST)
        return "".join(self.dice.choices(_ALPHABET, k=min(length, longest)))

    # -- requests --

    def _body(self, told: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[bytes, bool]:
        if "requestBody" not in told:
            return b"", True
        schema = self._resolved(told["requestBody"]["content"]["application/json"]["schema"])
        if self.dice.random() < 0.05:
            return self.dice.choice(NO_JSON), False
        value = self.value(schema)
        if self.dice.random() < 0.9:
            value |= known["body"](self.dice)
        if self.dice.random() < 0.4:
            value = self._spoilt(value)
        right = self._validator(schema).is_valid(value)
        return json.dumps(value, ensure_ascii=self.dice.random() < 0.5).encode("utf-8", "surrogatepass"), right

    def _spoilt(self, value: Any) -> Any:
        """The same with one thing changed, somewhere in it."""
        if not isinstance(value, dict) or not value or self.dice.random() < 0.03:
            return self.dice.choice(STRANGE)
        name = self.dice.choice(list(value))
        match self.dice.randrange(4):
            case 0:
                return {n: v for n, v in value.items() if n != name}
            case 1:
                return value | {
                    self.dice.choice(("admin", "", "Score", "\x00", "__proto__")): self.dice.choice(STRANGE)
                }
            case _:
                return value | {name: self._spoilt(value[name])}

    def _spoil_headers(self, headers: dict[str, str]) -> None:
        name = self.dice.choice([*headers, "content-type", "authorization"])
        if self.dice.random() < 0.5:
            headers.pop(name, None)
        else:
            headers[name] = self.dice.choice(STRANGE_TEXT)

    def _identifier(self, known: Mapping[str, Any]) -> str:
        strange = ("0", "%00", "a" * 400, "..", str(uuid.UUID(int=self.dice.getrandbits(128))))
        return self.dice.choice(strange) if self.dice.random() < 0.1 else str(known["path"])

    def _parameters(self, told: Mapping[str, Any], place: str) -> list[Mapping[str, Any]]:
        """Those that are needed, and some of the others."""
        all_of_them = [p for p in told.get("parameters", ()) if p["in"] == place]
        return [p for p in all_of_them if p["required"] or self.dice.random() < 0.15]

    def _resolved(self, schema: Mapping[str, Any]) -> Any:
        found: Any = schema
        while "$ref" in found:
            found = self.document["components"]["schemas"][found["$ref"].rpartition("/")[2]]
        return found

    def _validator(self, schema: Mapping[str, Any]) -> Draft202012Validator:
        name = json.dumps(schema, sort_keys=True)
        if name not in self._validators:
            self._validators[name] = Draft202012Validator({**schema, "components": self.document["components"]})
        return self._validators[name]
