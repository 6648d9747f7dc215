"""Addresses that providers report back to. Each names one message of one provider and proves that we made it.

A receipt is found by our own reference, never by the provider's id, so it may come before the call is answered
(C13). Providers that sign nothing (46elks) are held by the proof in the address; others sign on top of it.
"""

import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from services.chassis.sealing import Seal


@dataclass(frozen=True, slots=True)
class ReceiptLinks:
    """Makes and checks such addresses; `base` is where the notifier is reached from outside."""

    seal: Seal
    base: str

    def url(self, provider: str, reference: str) -> str:
        """The address for one message."""
        query = urlencode({"ref": reference, "proof": self._proof(provider, reference)})
        return f"{self.base.rstrip('/')}/receipts/{quote(provider, safe='')}?{query}"

    def holds(self, provider: str, reference: str, proof: str) -> bool:
        """Whether we made this address for this provider and message."""
        return hmac.compare_digest(self._proof(provider, reference).encode(), proof.encode())

    def _proof(self, provider: str, reference: str) -> str:
        key = self.seal.pseudonym("receipt links v1")
        return hmac.digest(key, f"{provider}\n{reference}".encode(), hashlib.sha256)[:16].hex()
