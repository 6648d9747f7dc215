"""What a link leads to; a link that nobody knows is told apart from those of invitations that are not read yet."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.survey.answers.handlers import Answers
from services.survey.answers.recorded import Page
from services.survey.answers.responses import looks_like_token, token_hash

CaughtUp = Callable[[], Awaitable[bool]]
"""Whether every invitation that Kafka holds at this moment is known here."""


class TooNew(Exception):
    """The message was quicker than the invitation: the link may be known in a moment."""


class PutAside(Exception):
    """The invitation could not be read: the link is known once its dead letter is replayed."""


@dataclass(frozen=True, slots=True)
class Links:
    """Looks links up."""

    answers: Answers
    caught_up: CaughtUp

    async def page(self, token: str, counts: Callable[[Page], bool]) -> Page | None:
        """What a link leads to; None where there is no such link, or one that does not count: both look the same.

        Raises:
            TooNew: this cannot be told yet.
            PutAside: it is ours, and leads nowhere yet.
            PostgresError, InterfaceError, OSError, Overloaded: PostgreSQL cannot be asked now.
        """
        page = await self._known(token, counts)
        if page is None:
            if not await self.caught_up():
                raise TooNew
            page = await self._known(token, counts)  # its invitation may have come since we looked
            if page is None and looks_like_token(token) and await self.answers.is_unread(token_hash(token)):
                raise PutAside
        return page

    async def _known(self, token: str, counts: Callable[[Page], bool]) -> Page | None:
        page = await self.answers.page(token) if looks_like_token(token) else None
        return page if page is not None and counts(page) else None
