"""Any run of posts, retries, conditions and labels, against twenty lines that say what must come of it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, ClassVar

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from schemas.response import RatedParty
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.survey.answers.relabelling import Relabelling
from services.survey.recipient.http import SurveyRoutes
from tests.survey_app import invite, post, survey, told

pytestmark = pytest.mark.service("survey")

Change = dict[str, Any]
CONTACT = (("contact_address", "070-174 06 34"),)


class Model:
    """What an answer must be after any run of changes."""

    def __init__(self) -> None:
        self.said: Change = {"reasons": (), "contested": False, "wants_contact": False, "rated": "carrier"}
        self.revision = 0
        self.tried: dict[str, tuple[Change, int]] = {}

    def apply(self, change: Change, key: str | None = None) -> tuple[int, int]:
        """The status and the revision that the change must give."""
        if key in self.tried:
            before, revision = self.tried[key]
            return (200, revision) if before == change else (422, self.revision)
        after = self.said | change
        sides = {(score > 3) - (score < 3) for score in (self.said.get("score"), after.get("score")) if score}
        if len(sides) > 1 and "reasons" not in change:
            after["reasons"] = ()
        self.revision += after != self.said or self.revision == 0
        self.said = after
        if key is not None:
            self.tried[key] = (change, self.revision)
        return 200, self.revision


changes = st.fixed_dictionaries(
    {},
    optional={
        "score": st.integers(1, 5),
        "reasons": st.sampled_from([(), ("other",), ("condition", "on_time")]),
        "comment": st.sampled_from(["Blöt", "Torr"]),
        "contested": st.booleans(),
        "wants_contact": st.booleans(),
        "q.ease": st.integers(1, 5),
        "q.ideal": st.integers(1, 10),
    },
).filter(bool)


def pairs(change: Change) -> list[tuple[str, str]]:
    """The form that says it."""
    fields = [("part", "details" if "reasons" in change else "further")] if {"reasons", "comment"} & set(change) else []
    for name, value in change.items():
        fields += (
            [(name, v) for v in value]
            if name == "reasons"
            else [(name, str(int(value) if value != str(value) else value))]
        )
    return fields + [*CONTACT] * bool(change.get("wants_contact"))


class Answering(RuleBasedStateMachine):
    """One link, two servers, PostgreSQL."""

    loop: ClassVar[asyncio.AbstractEventLoop]
    pool: ClassVar[Pool]
    servers: ClassVar[list[SurveyRoutes]]
    relabelling: ClassVar[Relabelling]

    def wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    @initialize()
    def begin(self) -> None:
        self.wait(self.pool.execute("TRUNCATE invitation, response, outbox, outbox_waiting, contact_wish, relabelling"))
        self.token = self.wait(invite(self.pool))
        self.model = Model()

    @rule(change=changes, server=st.integers(0, 1), key=st.sampled_from([None, None, "a", "b"]))
    def say(self, change: Change, server: int, key: str | None) -> None:
        headers = [("idempotency-key", key)] if key else []
        reply = self.wait(post(self.servers[server], self.token, *pairs(change), as_json=True, headers=headers))
        status, revision = self.model.apply(change, key)
        assert reply.status == status
        assert status != 200 or reply.json == {"revision": revision}

    @rule(change=changes, behind=st.integers(0, 1))
    def say_if_unchanged(self, change: Change, behind: int) -> None:
        holds = behind == 0 and self.model.revision > 0
        header = [("if-match", f'"{self.model.revision - behind}"')]
        reply = self.wait(post(self.servers[0], self.token, *pairs(change), as_json=True, headers=header))
        assert reply.status == (200 if holds else 412)
        assert not holds or reply.json == {"revision": self.model.apply(change)[1]}

    @rule(rated=st.sampled_from(list(RatedParty)))
    def label(self, rated: RatedParty) -> None:
        if self.model.revision:
            response_id = self.wait(self.pool.fetchval("SELECT response_id FROM response"))
            revision = self.wait(self.relabelling.relabel(response_id, rated, ("staff-7", "Lena L."), "goods"))
            assert revision == self.model.apply({"rated": rated.value})[1]

    @invariant()
    def the_events_are_the_revisions_and_the_last_one_is_the_model(self) -> None:
        events = self.wait(told(self.pool))
        assert [e.revision for e in events] == list(range(1, self.model.revision + 1))
        wishes = self.wait(self.pool.fetchval("SELECT count(*) FROM contact_wish"))
        assert wishes == int(self.model.said["wants_contact"])
        if events:
            last, said = events[-1], self.model.said
            assert (last.score, last.reasons, last.rated) == (said.get("score"), said["reasons"], said["rated"])
            assert (last.contested, last.wants_contact) == (said["contested"], said["wants_contact"])
            assert last.commented == ("comment" in said)
            assert {f"q.{k}": v for k, v in last.follow_ups.items()} == {k: v for k, v in said.items() if "q." in k}


async def test_every_run_of_changes_gives_what_twenty_lines_say(pool: Pool, settings: Settings) -> None:
    Answering.loop = asyncio.get_running_loop()
    Answering.pool = pool
    Answering.servers = [survey(pool, settings) for _ in range(2)]
    answers = Answering.servers[0].answers
    Answering.relabelling = Relabelling(pool, answers.relay.wake, answers.now)
    how = hypothesis_settings(max_examples=40, stateful_step_count=15, deadline=None)
    await asyncio.to_thread(run_state_machine_as_test, Answering, settings=how)
