"""The examples of docs/api.md do what the page says."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.survey.api.keys import Scope
from tests.asgi import Reply, ask
from tests.programs import TORGET, Clock, application, new_key
from tests.survey_app import invite

pytestmark = pytest.mark.service("survey")

CURL = re.compile(r"^curl (?:.*\\\n)*.*$", re.MULTILINE)


def examples(repository: Path) -> Iterator[str]:
    yield from CURL.findall((repository / "docs/api.md").read_text(encoding="utf-8"))


def words_of(example: str, values: dict[str, str]) -> list[str]:
    """The words as a shell would hand them to curl."""
    for name in sorted(values, key=len, reverse=True):
        example = example.replace(f"${name}", values[name])
    return shlex.split(example.replace("\\\n", " "))


async def test_every_curl_example_of_the_page_works(pool: Pool, settings: Settings, repository: Path) -> None:
    app = application(pool, settings, Clock())
    values = {
        "SURVEY": "",
        "KEY": (await new_key(pool, Scope.WRITE, Scope.READ)).text,
        "KIOSK_KEY": (await new_key(pool, Scope.KIOSK, place=TORGET)).text,
        "TOKEN": await invite(pool),
        "ID": "",
    }
    replies: list[Reply] = []
    for example in examples(repository):
        method, path, body, headers = "GET", "", b"", []
        words = iter(words_of(example, values)[1:])
        for word in words:
            match word:
                case "-X":
                    method = next(words)
                case "-H":
                    name, _, value = next(words).partition(": ")
                    headers.append((name, value))
                case "-d":
                    body = next(words).encode()
                case _:
                    path = word
        replies.append(await ask(app, method, path, headers=headers, parts=[body]))
        values["ID"] = values["ID"] or replies[0].json["id"]
    assert [r.status for r in replies] == [201, 200, 200, 201]
    assert (replies[2].json["revision"], replies[2].json["score"], replies[2].json["reasons"]) == (2, 5, ["courtesy"])
