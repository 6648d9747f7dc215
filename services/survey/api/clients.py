"""Programs that may use the API: who they are, what they may do, and for how long."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
from pydantic import BaseModel, ConfigDict

from schemas.contract import Country, Name, Zone
from services.chassis.keys import Key, make_key, read_key
from services.chassis.postgres import Database, named_sql
from services.survey.api.keys import Scope


class Place(BaseModel):
    """Where a kiosk stands."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    carrier: Name
    country: Country
    zone: Zone
    terminal: Name | None = None
    service_point: Name | None = None


@dataclass(frozen=True, slots=True)
class Client:
    """A program that holds a key."""

    client_id: uuid.UUID
    name: str
    prefix: str
    scopes: frozenset[Scope]
    place: Place | None
    expires_at: datetime
    revoked_at: datetime | None

    def may(self, scope: Scope) -> bool:
        """Whether the program has this scope."""
        return scope in self.scopes

    def is_valid(self, now: datetime) -> bool:
        """Whether the key is neither revoked nor expired."""
        return self.revoked_at is None and now < self.expires_at


@dataclass(frozen=True, slots=True)
class Clients:
    """The stored programs. Every method works on the connection given."""

    sql: Mapping[str, str] = field(default_factory=lambda: named_sql("services.survey", "api.sql"))

    async def add(
        self,
        connection: Database,
        *,
        name: str,
        scopes: frozenset[Scope],
        place: Place | None,
        now: datetime,
        expires_at: datetime,
    ) -> Key:
        """Keep a new program; returns its key, which is stored nowhere."""
        key = make_key()
        await connection.execute(
            self.sql["add_client"],
            uuid.uuid4(),
            name,
            key.prefix,
            key.secret_sha256,
            sorted(scopes),
            place.model_dump_json() if place else None,
            now,
            expires_at,
        )
        return key

    async def all(self, connection: Database) -> Sequence[Client]:
        """Every program, the oldest first."""
        return [_client(r) for r in await connection.fetch(self.sql["all_clients"])]

    async def revoke(self, connection: Database, prefix: str, now: datetime) -> bool:
        """End a key at once; returns whether there was one. A revoked key keeps its first moment."""
        return await connection.fetchval(self.sql["revoke_client"], prefix, now) is not None

    async def holding(self, connection: Database, text: str, now: datetime) -> Client | None:
        """The program with this key, or None where the key is wrong, expired or revoked."""
        key = read_key(text)
        if key is None:
            return None
        row = await connection.fetchrow(self.sql["client_with_prefix"], key.prefix)
        if not key.is_kept_as(None if row is None else row["secret_sha256"]) or row is None:
            return None
        client = _client(row)
        return client if client.is_valid(now) else None


def _client(row: asyncpg.Record) -> Client:
    return Client(
        client_id=row["client_id"],
        name=row["name"],
        prefix=row["prefix"],
        scopes=frozenset(Scope(s) for s in row["scopes"]),
        place=Place.model_validate(json.loads(row["place"])) if row["place"] else None,
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
