"""The judge of drawn requests sees what is wrong, and the drawer draws right and wrong ones alike."""

import json
import random
from typing import Any

import pytest

from services.survey.api.document import document
from tests.asgi import Reply
from tests.drawn_requests import Drawer, Drawn

PROBLEM = {"type": "about:blank", "title": "No such link", "status": 404}
KEPT = {
    "id": "1f0c2a34-5b6c-4d7e-8f90-a1b2c3d4e5f6",
    "revision": 1,
    "score": 4,
    "reasons": [],
    "follow_ups": {},
    "commented": False,
    "contested": False,
    "wants_contact": False,
    "open": True,
    "editable_until": "2026-12-06T10:00:00Z",
}
OK = ("application/json", '"1"')
DOORS: dict[str, Any] = {"path": "x", "body": lambda _: {}, "headers": lambda _: {}}


@pytest.fixture(scope="module")
def drawer() -> Drawer:
    return Drawer(document(), random.Random(7))


def asked(*, right: bool = True) -> Drawn:
    return Drawn("recordResponse", "POST", "/api/v1/responses", [], b"{}", right)


def reply(status: int, body: Any, kind: str = "application/problem+json", etag: str | None = None) -> Reply:
    headers = {"content-type": kind} | ({} if etag is None else {"etag": etag})
    return Reply(status, headers, json.dumps(body).encode())


def test_what_the_document_foresees_is_right(drawer: Drawer) -> None:
    drawer.judge(asked(), reply(200, KEPT, *OK))
    drawer.judge(asked(), reply(404, PROBLEM))
    drawer.judge(asked(right=False), reply(422, PROBLEM | {"status": 422, "errors": []}))


@pytest.mark.parametrize(
    "wrong",
    [
        reply(500, PROBLEM),
        reply(418, PROBLEM),
        reply(404, PROBLEM, "application/json"),
        reply(404, PROBLEM, ""),
        reply(404, {"title": "No such link"}),
        reply(200, KEPT | {"score": "4"}, *OK),
        reply(200, KEPT, "application/json"),
        reply(200, KEPT, "application/json", "1"),
        reply(409, PROBLEM | {"status": 409}),
    ],
    ids=lambda wrong: f"{wrong.status} {wrong.headers}",
)
def test_any_other_reply_is_wrong(drawer: Drawer, wrong: Reply) -> None:
    with pytest.raises(AssertionError):
        drawer.judge(asked(), wrong)


def test_what_breaks_the_document_must_not_be_taken(drawer: Drawer) -> None:
    with pytest.raises(AssertionError, match="although it breaks the document"):
        drawer.judge(asked(right=False), reply(200, KEPT, *OK))


def test_a_third_or_so_of_the_bodies_drawn_breaks_the_document_and_no_two_runs_differ(drawer: Drawer) -> None:
    drawn = [drawer.draw("recordResponse", DOORS) for _ in range(300)]
    assert 60 < sum(not d.right for d in drawn) < 180
    assert len({d.body for d in drawn}) > 200
    first, again = (Drawer(document(), random.Random(3)) for _ in range(2))
    assert [first.draw("changeResponse", DOORS) for _ in range(50)] == [
        again.draw("changeResponse", DOORS) for _ in range(50)
    ]
