"""One running system for all fault tests but those that lose a database."""

from collections.abc import AsyncIterator

import pytest

from services.embedded.servers import running_servers
from tests.faults.running_system import RunningSystem


@pytest.fixture(scope="package")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningSystem]:
    """Servers of its own that keep what they acknowledge, the three services, recipients who answer."""
    folder = tmp_path_factory.mktemp("system")
    with running_servers(folder / "servers") as servers:
        running = await RunningSystem.start(folder, servers)
        try:
            yield running
        finally:
            await running.end()
