"""The pair that tells whether a message is ours: the shipment's number and the end of the message's link (E13).

The code is part of the link, so that no message grows by it, and it tells this message from a forged one, which
a postcode would not: the forger knows where a person lives. 32 of the link's 128 bits are in it.
"""

from services.chassis.sealing import Seal

CODE_LETTERS = 6


def check_digest(seal: Seal, delivery_id: str, code: str) -> bytes:
    """16 bytes that stand for the pair. Case, spaces and dashes of the number do not matter."""
    number = "".join(c for c in delivery_id.upper() if c.isalnum())
    return seal.pseudonym(f"message check v1 {number} {code}")


def code_of(link: str) -> str:
    """The code at the end of a token or of the link that ends in it."""
    return link[-CODE_LETTERS:]
