"""Sessions that ended before their time. The cookie alone cannot tell: it may have been copied."""

from dataclasses import dataclass, field
from datetime import datetime

from services.chassis.staff.sessions import Session


@dataclass(slots=True)
class Ended:
    """What a process knows of such sessions.

    Attributes:
        sessions: single ones by their id, with when they ended.
        members: subjects all of whose sessions that began before a moment are over.
    """

    sessions: dict[str, datetime] = field(default_factory=dict)
    members: dict[str, datetime] = field(default_factory=dict)

    def holds(self, session: Session) -> bool:
        """Whether a session is over."""
        before = self.members.get(session.member.subject)
        return session.member.session in self.sessions or (before is not None and session.began <= before)
