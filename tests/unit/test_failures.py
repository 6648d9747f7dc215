"""What a failure is called decides what happens to the work."""

import asyncpg
import pytest
from aiokafka.errors import KafkaConnectionError, NotLeaderForPartitionError
from asyncpg.exceptions import _base

from services.chassis.failures import MustStop, Overloaded, Poison, TryAgain, is_transient


@pytest.mark.parametrize(
    "error",
    [
        TryAgain("later"),
        ConnectionRefusedError(),
        ConnectionResetError(),
        OSError("no route"),
        TimeoutError(),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
        asyncpg.ConnectionDoesNotExistError(),
        asyncpg.CannotConnectNowError("starting up"),
        asyncpg.TooManyConnectionsError(),
        asyncpg.AdminShutdownError(),
        asyncpg.CrashShutdownError(),
        asyncpg.DeadlockDetectedError(),
        asyncpg.SerializationError(),
        asyncpg.LockNotAvailableError(),
        asyncpg.QueryCanceledError(),
        asyncpg.DiskFullError(),
        asyncpg.OutOfMemoryError(),
        asyncpg.ReadOnlySQLTransactionError(),
        asyncpg.IdleInTransactionSessionTimeoutError(),
        KafkaConnectionError(),
        NotLeaderForPartitionError(),
    ],
)
def test_passing_failures_are_tried_again(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        Poison("bad_json"),
        MustStop("no"),
        Overloaded("full"),
        ValueError(),
        KeyError(),
        RecursionError(),
        asyncpg.UniqueViolationError(),
        asyncpg.CheckViolationError(),
        asyncpg.DataError("invalid byte sequence"),
        asyncpg.CharacterNotInRepertoireError(),
        asyncpg.UndefinedTableError(),
        _base.DataError("invalid input for query argument $1"),
    ],
)
def test_failures_that_stay_are_not_tried_again(error: Exception) -> None:
    assert not is_transient(error)


def test_poison_says_its_reason_and_detail() -> None:
    assert str(Poison("schema", "delivery missing")) == "schema: delivery missing"
    assert str(Poison("bad_json")) == "bad_json"
