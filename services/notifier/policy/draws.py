"""Draws that anybody with the key can repeat, and nobody can throw again (D7)."""

import hashlib
import hmac

KEY = "sampling key"
"""The draws' key is the pseudonym of this text: it stays when the sealing key is changed."""


def draw(key: bytes, text: str) -> float:
    """A number from 0 up to 1 that belongs to a text: the first 64 bits of HMAC-SHA256, divided by 2**64."""
    return int.from_bytes(hmac.digest(key, text.encode(), hashlib.sha256)[:8]) / 2**64
