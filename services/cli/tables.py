"""Questions to the tables of a service, with servers found as all commands find them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from services.chassis.postgres import OwnConnection
    from services.chassis.settings import Settings

T = TypeVar("T")


def asked(service: str, question: "Callable[[OwnConnection, Settings], Awaitable[T]]", *, kafka: bool = False) -> T:
    """The answer of a question, or of a change, to the tables of a service; `kafka` where that is asked too."""
    from services.chassis.postgres import tables_of
    from services.embedded.local import reachable

    async def ask() -> T:
        async with tables_of(settings, service) as connection:
            return await question(connection, settings)

    with reachable(kafka=kafka, postgres=True) as settings:
        return asyncio.run(ask())
