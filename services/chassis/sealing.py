"""Personal data at rest: AES-256-GCM, bound to the row it belongs to."""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from services.chassis.failures import MustStop, Poison

_NONCE = 12
_KEY_HEX_DIGITS = 64


class Seal:
    """Seals and opens small texts with one key; `row` binds a text to the row that holds it."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cipher = AESGCM(key)
        self._pseudonym_key = hmac.digest(key, b"kvittera pseudonyms v1", hashlib.sha256)

    @classmethod
    def from_setting(cls, key: SecretStr) -> "Seal":
        """Make a seal from the setting.

        Raises:
            MustStop: the setting is missing or not 64 hex digits.
        """
        text = key.get_secret_value()
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            raw = b""
        if len(text) != _KEY_HEX_DIGITS or len(raw) != _KEY_HEX_DIGITS // 2:
            raise MustStop(
                "wrong setting KVITTERA_SEALING_KEY: give 64 hex digits, for instance from `openssl rand -hex 32`"
            )
        return cls(raw)

    def for_purpose(self, purpose: str) -> "Seal":
        """A seal with a key of its own, so that what one purpose sealed never opens for another."""
        return Seal(hmac.digest(self._key, f"kvittera {purpose} v1".encode(), hashlib.sha256))

    def close(self, text: str, row: str) -> bytes:
        """The sealed text: 12 bytes of nonce, then ciphertext and tag."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, text.encode(), row.encode())

    def open(self, sealed: bytes, row: str) -> str:
        """The text again.

        Raises:
            Poison: sealed with another key, for another row, or damaged.
        """
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], row.encode()).decode()
        except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
            raise Poison("unsealable", "sealed with another key or for another row") from None

    def pseudonym(self, text: str) -> bytes:
        """16 bytes that stand for a person's normalised address; cannot be found by trying numbers (H76)."""
        return hmac.digest(self._pseudonym_key, text.encode(), hashlib.sha256)[:16]
