"""What waits for staff, for the links in the demo page's header, and a whiteboard that asks for no sign-in."""

from dataclasses import dataclass, field
from urllib.parse import quote

import asyncpg

from services.chassis.postgres import OwnConnection, connect
from services.chassis.settings import Settings
from services.survey.praise.board import Board, add_board

_TERMINAL = "Årsta"
_WAITING = """
SELECT (SELECT count(*) FROM feedback_case WHERE state IN ('open', 'reopened')) AS cases,
       (SELECT count(*) FROM praise WHERE state IN ('waiting', 'disputed')) AS praise
"""


@dataclass(slots=True)
class StaffLinks:
    """Looks into the survey's tables, as nobody but a demo should."""

    settings: Settings
    board: str | None = None
    waiting: dict[str, int] = field(default_factory=dict)
    _connection: "OwnConnection | None" = None

    async def look(self) -> None:
        """Count anew; without PostgreSQL the counts of before stay."""
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await connect(self.settings, "survey")
            if self.board is None:
                key = await add_board(self._connection, Board(_TERMINAL, _TERMINAL, "sv"))
                self.board = f"/whiteboard/{quote(_TERMINAL)}/{key}"
            found = await self._connection.fetchrow(_WAITING, timeout=2)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            return
        if found is not None:
            self.waiting = dict(found)

    async def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.terminate()

    def state(self) -> dict[str, str | int | None]:
        """What the page shows."""
        return {"board": self.board, **self.waiting}
