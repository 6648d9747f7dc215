"""The small vocabulary of failures. What a failure is called decides what happens to the work."""

import asyncio
from typing import Final

import asyncpg
from aiokafka.errors import KafkaError
from asyncpg.exceptions import _base as asyncpg_own


class Failure(Exception):
    """Anything that we know how to answer."""


class TryAgain(Failure):
    """The same work may succeed later: keep it and retry with growing, jittered pauses."""


class Poison(Failure):
    """This record can never be processed: put it aside in the dead-letter topic and go on.

    Attributes:
        reason: a short word that groups such records, safe to show and to count.
        detail: what exactly is wrong, without any value from the record.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Overloaded(Failure):
    """We cannot promise to keep more work now: say so (HTTP 503) before accepting it."""


class MustStop(Failure):
    """Going on would lose or double something: stop the process and say what to do."""


_TRANSIENT = (
    TryAgain,
    OSError,
    asyncio.TimeoutError,
    KafkaError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,  # the connection went away under our hands
    asyncpg.InternalClientError,  # the same, where the server's last words met the beginning of a statement
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.DiskFullError,
    asyncpg.OutOfMemoryError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby answered; the primary is moving
    asyncpg.IdleInTransactionSessionTimeoutError,
)
BROKEN_OFF: Final = (
    KafkaError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""How work with Kafka and a connection of its own to PostgreSQL may break off; not all of it passes."""
_NOT_TRANSIENT = (asyncpg_own.DataError,)
"""A value that cannot be sent, such as text with half a surrogate pair: the driver calls it an InterfaceError."""


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed later without anybody changing it."""
    return isinstance(error, _TRANSIENT) and not isinstance(error, _NOT_TRANSIENT)
