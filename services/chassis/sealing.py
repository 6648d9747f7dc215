"""Personal data at rest: AES-256-GCM, bound to the row it belongs to."""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from services.chassis.failures import MustStop, Poison
from services.chassis.settings import Settings

_NONCE = 12
_KEY_HEX_DIGITS = 64


class Box:
    """Seals with one key and opens with that or an older one; `row` binds what is sealed to the row that holds it."""

    def __init__(self, key: bytes, *older: bytes) -> None:
        self._ciphers = [AESGCM(k) for k in (key, *older)]

    def close(self, text: str, row: str) -> bytes:
        """The sealed text: 12 bytes of nonce, then ciphertext and tag."""
        return self.close_bytes(text.encode(), row)

    def open(self, sealed: bytes, row: str) -> str:
        """The text again.

        Raises:
            Poison: sealed with another key, for another row, or damaged.
        """
        try:
            return self.open_bytes(sealed, row).decode()
        except UnicodeDecodeError:
            raise Poison("unsealable", "sealed something else than text") from None

    def close_bytes(self, plain: bytes, row: str) -> bytes:
        """The sealed bytes, in the same form as a sealed text."""
        nonce = os.urandom(_NONCE)
        return nonce + self._ciphers[0].encrypt(nonce, plain, row.encode())

    def open_bytes(self, sealed: bytes, row: str) -> bytes:
        """The bytes again.

        Raises:
            Poison: sealed with another key, for another row, or damaged.
        """
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], row.encode())
            except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
                continue
        raise Poison("unsealable", "sealed with another key or for another row")


class Seal(Box):
    """The installation's keys: the newest seals, all open, and the oldest makes the pseudonyms, so that they stay."""

    def __init__(self, key: bytes, *older: bytes) -> None:
        super().__init__(key, *older)
        self._keys = (key, *older)
        self._pseudonym_key = hmac.digest(self._keys[-1], b"kvittera pseudonyms v1", hashlib.sha256)
        self.key_id = _key_id(self._keys[0])
        """Tells which key sealed, without telling the key."""
        self.key_ids = frozenset(map(_key_id, self._keys))
        """The same of all keys that open."""
        self.pseudonym_key_id = _key_id(self._keys[-1])

    @classmethod
    def of(cls, settings: Settings) -> "Seal":
        """The seal of an installation, as `from_setting`."""
        return cls.from_setting(settings.sealing_key, settings.sealing_keys_before)

    @classmethod
    def from_setting(cls, key: SecretStr, older: SecretStr | None = None) -> "Seal":
        """Make a seal from the settings; `older` holds earlier keys, the latest first, separated by commas.

        Raises:
            MustStop: a key is missing or not 64 hex digits.
        """
        texts = older.get_secret_value().split(",") if older and older.get_secret_value() else []
        before = [_key(text.strip(), "KVITTERA_SEALING_KEYS_BEFORE") for text in texts]
        return cls(_key(key.get_secret_value(), "KVITTERA_SEALING_KEY"), *before)

    def for_purpose(self, purpose: str) -> "Seal":
        """A seal with keys of its own, so that what one purpose sealed never opens for another."""
        return Seal(*(hmac.digest(k, f"kvittera {purpose} v1".encode(), hashlib.sha256) for k in self._keys))

    def pseudonym(self, text: str) -> bytes:
        """16 bytes that stand for a person's normalised address; cannot be found by trying numbers (H76)."""
        return hmac.digest(self._pseudonym_key, text.encode(), hashlib.sha256)[:16]


def _key_id(key: bytes) -> str:
    return hmac.digest(key, b"kvittera key id v1", hashlib.sha256)[:4].hex()


def _key(text: str, setting: str) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    if len(text) != _KEY_HEX_DIGITS or len(raw) != _KEY_HEX_DIGITS // 2:
        raise MustStop(f"wrong setting {setting}: give 64 hex digits, for instance from `openssl rand -hex 32`")
    return raw
