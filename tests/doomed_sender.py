"""Senders that are there to be killed: `python -m tests.doomed_sender DSN PORT`.

For each line on its standard input it forks a process that sends what is due to the gateway at PORT, and prints the
process's id as soon as that begins to claim. Forking skips the second that the imports and first uses take.
"""

import asyncio
import os
import sys

from pydantic import SecretStr

from services.chassis.postgres import open_pool
from services.chassis.settings import Settings
from services.notifier.dispatch import Limits
from services.notifier.render import Renderer, Sender
from services.notifier.warming import speak_each_language
from tests.channel_kit import KITS
from tests.conftest import SEALING_KEY
from tests.sending import dispatcher

GATEWAY = next(k for k in KITS if k.name == "gateway")
LIMITS = Limits(concurrency=4, lease_seconds=60, max_age_seconds=72 * 3600, in_doubt_deadline_seconds=3600)


async def send(dsn: str, port: int) -> None:
    """Send until killed."""
    settings = Settings(postgres_dsn=SecretStr(dsn), sealing_key=SecretStr(SEALING_KEY), allow_unsafe_postgres=True)
    sender = dispatcher(await open_pool(settings, "notifier"), settings, GATEWAY.make(port, 5), LIMITS)
    os.write(sys.stdout.fileno(), f"{os.getpid()}\n".encode())
    await sender.run(asyncio.Event())


def main() -> None:
    """Fork a sender for each line; end with the input."""
    dsn, port = sys.argv[1], int(sys.argv[2])
    GATEWAY.make(port, 5)
    for _ in speak_each_language(Renderer(Sender("", "", "", ""))):
        pass
    while sys.stdin.readline():
        child = os.fork()
        if child == 0:
            asyncio.run(send(dsn, port))
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
