"""What an OpenID provider says about a person: checked (OpenID Connect Core 3.1.3.7), and read as a member."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import GuestProtocol, Key, KeySet

from services.chassis.staff.members import EVERYWHERE, Role

ALGORITHMS = ("RS256", "ES256")
_KINDS = {"RSA", "EC"}
_LEEWAY_SECONDS = 60
_LONGEST_TOKEN = 32 * 1024


class NotSignedIn(Exception):
    """The sign-in failed; `reason` is for logs and metrics and holds nothing of the token."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownKey(NotSignedIn):
    """Signed with a key that is not among those at hand; the provider may have a new one."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say to be meant for this sign-in."""

    issuer: str
    client_id: str
    nonce: str


def claims_of(token: str, keys: KeySet, expected: Expected, now: datetime) -> dict[str, Any]:
    """The claims of an ID token whose signature and claims hold.

    Raises:
        UnknownKey: none of the keys is the one it names.
        NotSignedIn: anything else does not hold.
    """
    if len(token) > _LONGEST_TOKEN:
        raise NotSignedIn("size")
    registry = jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=_LEEWAY_SECONDS,
        iss={"essential": True, "value": expected.issuer},
        aud={"essential": True, "value": expected.client_id},
        sub={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": expected.nonce},
    )
    try:
        claims = jwt.decode(token, _finder(keys), algorithms=ALGORITHMS).claims
        registry.validate(claims)
    except InvalidKeyIdError:
        raise UnknownKey("key") from None
    except (JoseError, ValueError, TypeError) as error:
        raise NotSignedIn(getattr(error, "claim", None) or type(error).__name__) from None
    _check_parties(claims, expected.client_id)
    if str(claims.get("email_verified", True)).lower() == "false":  # some providers write booleans as text
        raise NotSignedIn("email_verified")
    return claims


def _finder(keys: KeySet) -> Any:
    usable = [k for k in keys if k.key_type in _KINDS]

    def find(token: GuestProtocol) -> Key:
        name = token.headers().get("kid")
        if name is None and len(usable) == 1:
            return usable[0]
        for key in usable:
            if key.kid == name:
                return key
        raise InvalidKeyIdError("no such key")

    return find


def _check_parties(claims: Mapping[str, Any], client_id: str) -> None:
    # A token for several parties must name us as the one that asked for it; one that names another is not ours.
    several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
    if claims.get("azp", None if several else client_id) != client_id:
        raise NotSignedIn("azp")


def name_of(claims: Mapping[str, Any]) -> str:
    """What colleagues call this person; an address only where the provider has verified it."""
    email = claims.get("email") if claims.get("email_verified") is True else None
    for name in (claims.get("name"), claims.get("preferred_username"), email, claims["sub"]):
        if isinstance(name, str) and (shown := "".join(c for c in name if c.isprintable()).strip()):
            return shown[:80]
    return "?"


def roles_of(claims: Mapping[str, Any], claim: str, prefix: str) -> dict[str, Role]:
    """The highest role at each terminal, from words such as `kvittera:lead:Luleå`; others are none of our business."""
    told = claims.get(claim, [])
    words = told.split() if isinstance(told, str) else told if isinstance(told, list) else []
    roles: dict[str, Role] = {}
    for word in words:
        first, _, rest = word.partition(":") if isinstance(word, str) else ("", "", "")
        role, _, terminal = rest.partition(":")
        if first == prefix and role.upper() in Role.__members__:
            place = terminal or EVERYWHERE
            roles[place] = max(roles.get(place, Role.DRIVER), Role[role.upper()])
    return roles
