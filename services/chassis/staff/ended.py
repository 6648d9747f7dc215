"""Sessions that ended before their time. The cookie alone cannot tell: it may have been copied."""

from dataclasses import dataclass, field
from datetime import datetime

from services.chassis.staff.sessions import Session


@dataclass(slots=True)
class Ended:
    """What a process knows of such sessions.

    Attributes:
        sessions: single ones by their id, with when they ended.
        members: aliases (`Sessions.alias`) all of whose sessions that began before a moment are over.
    """

    sessions: dict[str, datetime] = field(default_factory=dict)
    members: dict[str, datetime] = field(default_factory=dict)

    def holds(self, session: Session, alias: str) -> bool:
        """Whether a session is over; `alias` is that of its member."""
        before = self.members.get(alias)
        return session.member.session in self.sessions or (before is not None and session.began <= before)
