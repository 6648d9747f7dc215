"""What to say of servers that refuse a command, are not found, or go away before it is done."""

import errno
import socket
import ssl
from typing import Final

import asyncpg
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
)

from services.chassis.failures import is_transient
from services.chassis.postgres import fault

_KAFKA_REFUSES: Final = (
    AuthenticationFailedError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    ClusterAuthorizationFailedError,
)
_POSTGRES_REFUSES: Final = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InsufficientPrivilegeError)
_NOT_FOUND: Final = (socket.gaierror, ssl.SSLError)
"""Only PostgreSQL's driver lets them out: aiokafka calls them a failure of its connection."""
_OF_SERVERS: Final = (ConnectionError, TimeoutError)
_NO_WAY: Final = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}


def told(error: Exception) -> str | None:
    """What a command says that a server stopped; None for a failure that is none of a server's."""
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return f"PostgreSQL answers but {error}: create the database, then run `kvittera migrate`"
    if isinstance(error, _POSTGRES_REFUSES):
        return f"PostgreSQL refuses: {error}; check KVITTERA_POSTGRES_DSN and the rights of its account"
    if isinstance(error, _NOT_FOUND):
        return f"PostgreSQL cannot be used ({fault(error)}); check KVITTERA_POSTGRES_DSN and that it runs"
    if isinstance(error, _KAFKA_REFUSES):
        return (
            f"Kafka refuses ({type(error).__name__}): give this account the right, or run it as one that has it;"
            " docs/how-to/connect-your-kafka.md names the rights"
        )
    if is_transient(error) and (not isinstance(error, OSError) or _is_of_servers(error)):
        return (
            f"Kafka or PostgreSQL went away before this was done ({type(error).__name__});"
            " `kvittera doctor` says which; try again once it is back"
        )
    return None


def _is_of_servers(error: OSError) -> bool:
    """Whether a server or the way to it causes it; other errors of the system are about the caller's own files."""
    return isinstance(error, _OF_SERVERS) or error.errno in _NO_WAY
