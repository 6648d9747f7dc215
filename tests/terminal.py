"""A shell that stays open between commands, as the terminal of somebody who follows a document."""

import asyncio
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_DONE = "-- done --"
_PATIENCE_SECONDS = 150


@dataclass(slots=True)
class Terminal:
    """One bash; variables and background jobs of a command are there for the next."""

    folder: Path
    shell: Process
    _read: bytes = field(default=b"")

    async def run(self, commands: str) -> str:
        """What the commands print, to both outputs; each must succeed."""
        block = self.folder / "commands.sh"
        block.write_text(commands, encoding="utf-8")
        assert self.shell.stdin is not None
        self.shell.stdin.write(f". ./{block.name}; echo '{_DONE}'\n".encode())
        said = await asyncio.wait_for(self._until_done(), _PATIENCE_SECONDS)
        assert self.shell.returncode is None, f"{commands}\nfailed: {said}"
        return said

    async def _until_done(self) -> str:
        assert self.shell.stdout is not None
        lines: list[str] = []
        while line := await self.shell.stdout.readline():
            if line.decode().rstrip() == _DONE:
                return "".join(lines)
            lines.append(line.decode())
        await self.shell.wait()
        return "".join(lines)


@asynccontextmanager
async def terminal(folder: Path, variables: Mapping[str, str], prepared: str = "") -> AsyncIterator[Terminal]:
    """Open a terminal in a folder; it ends at the first command that fails, and its jobs with it."""
    shell = await asyncio.create_subprocess_exec(
        "bash", cwd=folder, env=dict(variables), stdin=PIPE, stdout=PIPE, stderr=STDOUT, limit=2**20
    )
    opened = Terminal(folder, shell)
    try:
        await opened.run(f"set -e\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n{prepared}")
        yield opened
    finally:
        assert shell.stdin is not None
        with suppress(ConnectionError):
            shell.stdin.write_eof()
        await asyncio.wait_for(shell.wait(), _PATIENCE_SECONDS)
