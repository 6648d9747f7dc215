"""Where the demo runs: its servers and ports, and what its processes get to know."""

import base64
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.chassis.failures import MustStop
from services.chassis.settings import PREFIX
from services.demo.supervisor import SERVICES
from services.embedded.jars import Progress
from services.embedded.local import FOLDER, KEY, NOTE
from services.embedded.ports import free_port
from services.embedded.servers import running_servers

POLICIES = Path(__file__).parent / "policies"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    rate: float | None = None
    deliveries: int | None = None
    until_done: bool = False
    headless: bool = False
    fresh: bool = False
    port: int = 8600
    report: Path | None = None
    replay: Path | None = None
    mapping: Path | None = None
    seed: int = 1
    kill: int = 0
    attach: Mapping[str, str] = field(default_factory=dict)
    not_loopback: bool = False


def port_taken(port: int) -> str:
    """What to say when the page has no place."""
    return f"port {port} is taken: end what uses it, or give another with --port"


@contextmanager
def servers(options: Options, progress: Progress) -> Iterator[dict[str, str]]:
    """Kafka and PostgreSQL: the given ones where both settings name some, otherwise embedded ones.

    Raises:
        MustStop: only one of the two is given.
    """
    if are_given(options):
        if options.fresh:
            raise MustStop("--fresh wipes only the demo's own servers; make the given ones empty yourself")
        yield {}
        return
    with running_servers(FOLDER, fresh=options.fresh, progress=progress) as running:
        where = {PREFIX + "KAFKA_BOOTSTRAP": running.kafka.bootstrap, PREFIX + "POSTGRES_DSN": running.postgres.dsn()}
        note = FOLDER / NOTE
        page = {} if options.headless else {PREFIX + "PUBLIC_URL": f"http://127.0.0.1:{options.port}"}
        note.write_text(json.dumps({"pid": os.getpid(), **where, **page}))
        try:
            yield where
        finally:
            note.unlink(missing_ok=True)


def are_given(options: Options) -> bool:
    """Whether the settings name servers to use.

    Raises:
        MustStop: they name one of the two alone, or none although the services run elsewhere.
    """
    given = [n for n in ("KAFKA_BOOTSTRAP", "POSTGRES_DSN") if _is_given(n)]
    if len(given) == 1:
        raise MustStop(f"{PREFIX}{given[0]} is set alone: set KAFKA_BOOTSTRAP and POSTGRES_DSN both, or neither")
    if options.attach and not given:
        raise MustStop(f"--attach needs {PREFIX}KAFKA_BOOTSTRAP and {PREFIX}POSTGRES_DSN as the services have them")
    return bool(given)


def _is_given(name: str) -> bool:
    return PREFIX + name in os.environ or f"{PREFIX}{name}_FILE" in os.environ


def environment(where: dict[str, str], options: Options) -> dict[str, str]:
    """What every service process gets to know."""
    ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    return {
        **where,
        **{f"{PREFIX}{service.upper()}_PORT": str(port) for service, port in ports.items()},
        PREFIX + "PUBLIC_URL": f"http://127.0.0.1:{ports['survey'] if options.headless else options.port}",
        PREFIX + "SEALING_KEY": os.environ.get(PREFIX + "SEALING_KEY") or sealing_key(),
        PREFIX + "POLICIES_FOLDER": os.environ.get(PREFIX + "POLICIES_FOLDER") or str(POLICIES),
        PREFIX + "INBOUND_SECRETS": os.environ.get(PREFIX + "INBOUND_SECRETS") or made_up_secret(),
        PREFIX + "CHANNEL": "outbox",  # whatever the shell is set to: the demo's people do not exist
        PREFIX + "DEMO_MARK": "true",
        PREFIX + "STAFF_SIGN_IN": "demo",
        PREFIX + "SEND_LEASE_SECONDS": "10",  # a killed notifier's sends are looked up soon
        PREFIX + "LOG_FORMAT": "json",
    }


def made_up_secret() -> str:
    """What the simulated gateway signs replies with, new at each start."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"


def sealing_key() -> str:
    """The demo's own key, made once; without it yesterday's data could not be opened."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / KEY
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(32))
    return file.read_text().strip()


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on now."""
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return list(found)
