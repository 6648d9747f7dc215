"""Staff: who is signed in and what they may do. Pages ask a `Gate`; how people sign in is its own business."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from starlette.requests import HTTPConnection
from starlette.responses import Response

EVERYWHERE = "*"
"""In the roles of a member: the role holds at every terminal."""


class Role(IntEnum):
    """What a member may do; each role may do all that the ones before it may.

    A driver may see only what was said of their own deliveries; the place of this role is the driver's pseudonym.
    """

    DRIVER = 0
    READER = 1
    AGENT = 2
    LEAD = 3
    ADMIN = 4


@dataclass(frozen=True, slots=True)
class Member:
    """A signed-in member of staff.

    Attributes:
        subject: the provider's stable id for this person.
        name: as colleagues know them.
        roles: the role at each terminal, or at `EVERYWHERE`; a driver's stands at the pseudonym.
        session: which sign-in this is; forms are bound to it.
    """

    subject: str
    name: str
    roles: Mapping[str, Role]
    session: str = ""

    def may(self, role: Role, terminal: str | None = None) -> bool:
        """Whether this member has at least `role` at the terminal; without one, at any."""
        if terminal is None:
            return any(has >= role for has in self.roles.values())
        return max(self.roles.get(EVERYWHERE, 0), self.roles.get(terminal, 0)) >= role

    @property
    def initials(self) -> str:
        """Of the first two words of the name."""
        return "".join(word[0] for word in self.name.split()[:2]).upper()

    @property
    def driver(self) -> str | None:
        """The driver's pseudonym that this member is known by, None for members who are no driver."""
        own = (name for name, has in self.roles.items() if has == Role.DRIVER and name != EVERYWHERE)
        return next(own, None)

    def terminals(self, role: Role) -> frozenset[str] | None:
        """The terminals where this member has at least `role`; None means all of them."""
        if self.roles.get(EVERYWHERE, 0) >= role:
            return None
        return frozenset(terminal for terminal, has in self.roles.items() if has >= role)


class Gate(Protocol):
    """What a staff page needs of the sign-in."""

    def who(self, connection: HTTPConnection) -> Member | None:
        """The signed-in member behind a request, or None."""

    def form_secret(self, member: Member) -> str:
        """What each form carries, so that no other site can post it (CSRF)."""

    def form_is_ours(self, member: Member, given: str) -> bool:
        """Whether a posted form carries the secret of this member."""

    def turn_away(self, connection: HTTPConnection) -> Response:
        """The answer to a stranger: to the sign-in for a page, 401 with a problem document for a program."""
