"""Sessions that no service keeps: all that one is stands sealed in its cookie, and each service can open it."""

import base64
import binascii
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import orjson

from services.chassis.failures import Poison
from services.chassis.sealing import Seal
from services.chassis.staff.members import Member, Role

_ROW = "staff session"
LONGEST_COOKIE = 3800
"""Browsers drop cookies over 4096 bytes with name and attributes (RFC 6265bis 5.6)."""


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in: of whom, since when, and when it was last used."""

    member: Member
    began: datetime
    used: datetime


@dataclass(frozen=True, slots=True)
class Sessions:
    """Seals and opens sessions; `lifetime` and `idle` end them."""

    seal: Seal
    lifetime: timedelta
    idle: timedelta

    def begin(self, subject: str, name: str, roles: Mapping[str, Role], now: datetime) -> Session:
        """A session of a member who signed in just now."""
        return Session(Member(subject, name, roles, session=secrets.token_urlsafe(12)), now, now)

    def close(self, session: Session) -> str:
        """The session as the text of a cookie."""
        member = session.member
        text = orjson.dumps(
            {
                "id": member.session,
                "sub": member.subject,
                "name": member.name,
                "roles": {terminal: int(role) for terminal, role in member.roles.items()},
                "began": session.began.timestamp(),
                "used": session.used.timestamp(),
            }
        ).decode()
        return base64.urlsafe_b64encode(self.seal.close(text, _ROW)).decode().rstrip("=")

    def open(self, text: str, now: datetime) -> Session | None:
        """The session behind a cookie's text; None when it is not ours, damaged or over."""
        try:
            told = orjson.loads(self.seal.open(_decoded(text), _ROW))
        except (Poison, binascii.Error, ValueError):
            return None
        roles = {terminal: Role(role) for terminal, role in told["roles"].items()}
        member = Member(told["sub"], told["name"], roles, session=told["id"])
        session = Session(
            member, datetime.fromtimestamp(told["began"], now.tzinfo), datetime.fromtimestamp(told["used"], now.tzinfo)
        )
        return None if self._is_over(session, now) else session

    def _is_over(self, session: Session, now: datetime) -> bool:
        return now >= session.began + self.lifetime or now >= session.used + self.idle

    def renewed(self, session: Session, now: datetime) -> Session | None:
        """The session as used now; None while its last note of use is fresh enough."""
        return replace(session, used=now) if now - session.used >= self.idle / 20 else None

    def remaining(self, session: Session, now: datetime) -> int:
        """Seconds until the session ends when it is not used again."""
        return int((min(session.began + self.lifetime, session.used + self.idle) - now).total_seconds())

    def alias(self, subject: str) -> str:
        """What stands for a member where the provider's name for the person must not: in a topic."""
        return self.seal.pseudonym(f"member {subject}").hex()

    def form_secret(self, member: Member) -> str:
        """What the forms of this sign-in carry; without the key nobody can know it."""
        whose = self.seal.pseudonym(f"form {member.session} {member.subject}")
        return base64.urlsafe_b64encode(whose).decode().rstrip("=")

    def form_is_ours(self, member: Member, given: str) -> bool:
        """Whether a form carries the secret of this sign-in."""
        return hmac.compare_digest(self.form_secret(member).encode(), given.encode("utf-8", "surrogatepass"))


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
