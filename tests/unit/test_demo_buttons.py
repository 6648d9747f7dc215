"""The buttons of the demo's page: pressed by that page and by programs, never by a page of another site."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.chassis.http import make_app
from services.chassis.metrics import Metrics
from services.demo import server
from services.demo.runtime import Demo
from tests.asgi import ask


async def always() -> None:
    return None


@pytest.mark.parametrize(
    ("headers", "status", "rate"),
    [
        ([("sec-fetch-site", "same-origin")], 200, 50.0),
        ([], 200, 50.0),
        ([("sec-fetch-site", "cross-site"), ("content-type", "text/plain")], 403, 20.0),
        ([("sec-fetch-site", "same-site")], 403, 20.0),
    ],
    ids=["its own page", "a program", "another site", "another port of this machine"],
)
async def test_no_other_site_presses_a_button(headers: list[tuple[str, str]], status: int, rate: float) -> None:
    upstream: Any = SimpleNamespace(rate=20.0)
    app = make_app(server._buttons(cast("Demo", SimpleNamespace(upstream=upstream))), ready=always, metrics=Metrics())
    reply = await ask(app, "POST", "/demo/rate", headers=headers, parts=[json.dumps({"rate": 50}).encode()])
    assert (reply.status, upstream.rate) == (status, rate)
