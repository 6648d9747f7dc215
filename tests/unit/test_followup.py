"""Every reaction sees each response once a batch, in its highest revision."""

from typing import Any, cast

from schemas.response import ResponseRecorded
from services.chassis.postgres import Database
from services.chassis.records import Received
from services.survey.followup import FollowUp, Responses
from tests.builders import NOON, facts


def answer(response_id: str, revision: int, **changed: Any) -> Received[ResponseRecorded]:
    plain = {"response_id": response_id, "revision": revision, "answered_at": NOON, "recorded_at": NOON}
    return Received(ResponseRecorded.model_validate({**plain, "delivery": facts(), **changed}), None, NOON)


async def seen(batch: Responses) -> list[list[tuple[str, int]]]:
    calls: list[list[tuple[str, int]]] = []

    async def react(_: Database, given: Responses) -> None:
        calls.append([(r.message.response_id, r.message.revision) for r in given])

    await FollowUp([react, react])(cast("Database", None), batch)
    return calls


async def test_every_reaction_gets_the_highest_revision_of_each_response() -> None:
    batch = [answer("a", 1), answer("b", 1), answer("a", 3), answer("a", 2), answer("a", 3)]
    assert await seen(batch) == [[("a", 3), ("b", 1)], [("a", 3), ("b", 1)]]


async def test_an_empty_batch_is_handed_on_as_it_is() -> None:
    assert await seen([]) == [[], []]
