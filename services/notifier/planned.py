"""A request to be: its link, its secret, and its row in the table that is the schedule."""

import base64
import hashlib
import secrets
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import orjson

from schemas.delivery import DeliveryFacts
from services.chassis.ids import time_ordered
from services.chassis.persons import Person
from services.chassis.sealing import Box
from services.notifier import policy

COLUMNS = (
    "invitation_id",
    "delivery_id",
    "kind",
    "state",
    "person",
    "channel",
    "language",
    "due_at",
    "occurred_at",
    "token_sha256",
    "sealed",
    "drop_id",
    "order_id",
    "message",
    "traceparent",
)
"""Of `invitation`, in the order of `Planned.row`."""


class Planned(NamedTuple):
    """An invitation to be, with its secret.

    Attributes:
        token_hash: what is stored and told instead of the token.
    """

    invitation_id: UUID
    ask: policy.Ask
    person: Person
    token: str
    token_hash: bytes

    @classmethod
    def of(cls, ask: policy.Ask, person: Person, now: datetime) -> "Planned":
        """A new one."""
        token = new_token()
        return cls(time_ordered(now), ask, person, token, hashlib.sha256(token.encode()).digest())

    @property
    def secret(self) -> str:
        """What the message needs and nobody else may see, as the dispatcher reads it."""
        said = {"co_brand": self.ask.co_brand, "notice": self.ask.notice}
        told = {name: text for name, text in said.items() if text is not None}
        address = policy.as_sent(self.ask.channel.kind, self.ask.channel.address)
        return orjson.dumps({"address": address, "token": self.token, **told}).decode()

    def row(self, facts: DeliveryFacts, told: str, traceparent: str | None, box: Box) -> tuple[object, ...]:
        """What is written; `told` is the event, and `box` seals for the person."""
        return (
            self.invitation_id,
            facts.delivery_id,
            "ask",
            "planned",
            self.person,
            self.ask.channel.kind,
            self.ask.language,
            self.ask.at,
            facts.occurred_at,
            self.token_hash,
            box.close(self.secret, str(self.invitation_id)),
            facts.drop_id,
            facts.order_id,
            told,
            traceparent,
        )


def new_token() -> str:
    """128 random bits as 22 letters, digits, `-` and `_` (hazard 64)."""
    return base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()
