"""Answers that praise open praise; answers that change carry theirs along."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from services.chassis.postgres import Database
from services.survey.comments.texts import Texts
from services.survey.followup import Responses
from services.survey.praise import store
from services.survey.praise.rules import PassOnBy, Rules, after_answer


@dataclass(frozen=True, slots=True)
class TakeUpPraise:
    """Opens, changes and withdraws praise as answers come and change."""

    rules: Rules
    texts: Texts
    pass_on_by: PassOnBy
    now: Callable[[], datetime]

    async def __call__(self, connection: Database, batch: Responses, /) -> None:
        """React to a batch, inside the fence's transaction."""
        ids = [uuid.UUID(r.message.response_id) for r in batch]
        await store.share_drivers(connection, [r.message for r in batch if self.rules.is_praise(r.message)])
        stored = await store.locked(connection, ids)
        wanted = [r.message for r in batch if r.message.response_id in stored or self.rules.is_praise(r.message)]
        if not wanted:
            return
        texts = await self.texts.of(connection, [uuid.UUID(m.response_id) for m in wanted if m.commented])
        changes = []
        for message in wanted:
            comment = texts.get(uuid.UUID(message.response_id))
            digest = comment.digest if comment is not None else None
            before = stored.get(message.response_id)
            change = after_answer(before, message, digest, self.rules, self.pass_on_by)
            if change is not None:
                changes.append(change)
        await store.keep(connection, [c.praise for c in changes])
        told = [c.praise for c in changes if c.what is not None]
        await store.give_signs(connection, told)
        await store.tell(connection, told)
        for change in changes:
            if change.what is not None:
                await store.note(connection, change.praise.praise_id, self.now(), change.what)
