"""Keys of programs: `kv_<prefix>_<secret>`. The prefix may be shown, the secret is 256 random bits."""

import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass

_PREFIX_LETTERS = string.ascii_lowercase + string.digits
_PREFIX_LENGTH = 10
_SECRET_BYTES = 32
_NOBODY = bytes(32)
_KEY = re.compile(rf"kv_([a-z0-9]{{{_PREFIX_LENGTH}}})_([A-Za-z0-9_-]{{43}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it came in or was just made."""

    prefix: str
    secret: str

    @property
    def text(self) -> str:
        """The whole key: shown once, when it is made."""
        return f"kv_{self.prefix}_{self.secret}"

    @property
    def secret_sha256(self) -> bytes:
        """What is stored instead of the secret."""
        return hashlib.sha256(self.secret.encode()).digest()

    def is_kept_as(self, stored: bytes | None) -> bool:
        """Whether this is the secret behind a stored hash; None, where nobody has the prefix, takes as long."""
        same = hmac.compare_digest(_NOBODY if stored is None else stored, self.secret_sha256)
        return same and stored is not None


def make_key() -> Key:
    """A new key."""
    prefix = "".join(secrets.choice(_PREFIX_LETTERS) for _ in range(_PREFIX_LENGTH))
    return Key(prefix, secrets.token_urlsafe(_SECRET_BYTES))


def read_key(text: str) -> Key | None:
    """The key in a text, or None where it cannot be one of ours."""
    found = _KEY.fullmatch(text)
    return Key(found[1], found[2]) if found else None
