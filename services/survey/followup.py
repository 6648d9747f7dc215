"""What answers call for: the survey reads its own topic, so that answering never waits for cases or praise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.response import ResponseRecorded
from services.chassis.postgres import Database
from services.chassis.records import Received

Responses = Sequence[Received[ResponseRecorded]]


class Reaction(Protocol):
    """Does something about answers, inside the fence's transaction."""

    async def __call__(self, connection: Database, batch: Responses, /) -> None:
        """Act on the answers; each response comes at most once, in its highest revision of the batch.

        An answer may come again, or come late behind a higher revision of another batch: acting must then
        change nothing.
        """


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Hands every batch of answers to each reaction, in one transaction with the reading position."""

    reactions: Sequence[Reaction]

    async def __call__(self, connection: Database, batch: Responses) -> None:
        """React to a batch, inside the fence's transaction."""
        latest = highest_revisions(batch)
        for react in self.reactions:
            await react(connection, latest)


def highest_revisions(batch: Responses) -> Responses:
    """The batch with only the highest revision of each response."""
    highest: dict[str, Received[ResponseRecorded]] = {}
    for received in batch:
        message = received.message
        kept = highest.get(message.response_id)
        if kept is None or message.revision > kept.message.revision:
            highest[message.response_id] = received
    return list(highest.values())
