"""`kvittera ready`, `secrets` and `certificates`: what containers need beside the services."""

import contextlib
import errno
import os
import secrets as dice
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

_MODE = 0o400
_READABLE = 0o444
_NO_LINKS = {errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What file systems say that know no hard links: sticks, network shares."""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(rich_help_panel="Preparation")(secrets)
    app.command(rich_help_panel="Preparation")(certificates)
    app.command(rich_help_panel="Operation")(ready)


def ready(
    service: Annotated[
        str, typer.Argument(help="notifier, survey or aggregator; without it, whichever runs here.", metavar="SERVICE")
    ] = "",
) -> None:
    """Exit 0 when the service on this machine can do its work, 1 otherwise: a health check.

    Containers run `python -m services.readiness` instead, which asks the same at a thirtieth of the cost.
    """
    from services.chassis.environment import load_settings
    from services.readiness import host_of, is_ready

    settings = load_settings()
    ports = {"notifier": settings.notifier_port, "survey": settings.survey_port, "aggregator": settings.aggregator_port}
    if service and service not in ports:
        raise typer.BadParameter(f"there is no service {service}: choose {', '.join(ports)}")
    asked = [ports[service]] if service else list(ports.values())
    host = host_of({"KVITTERA_HTTP_HOST": settings.http_host})
    if not any(is_ready(port, host) for port in asked):
        places = ", ".join(f"{host}:{port}" for port in asked)
        print(f"not ready: asked {places}. `kvittera doctor` says what is wrong with settings and servers.")
        raise typer.Exit(1)


def secrets(
    folder: Annotated[Path, typer.Argument(help="Where the files go; existing ones are kept.", file_okay=False)],
    password_folder: Annotated[
        Path | None, typer.Option(help="Where postgres-password goes instead, readable by PostgreSQL's own user.")
    ] = None,
    host: Annotated[str, typer.Option(help="Host name of PostgreSQL.")] = "postgres",
    database: Annotated[str, typer.Option(help="Name of the database, and of its owner.")] = "kvittera",
) -> None:
    """Make the secrets of an installation, once: PostgreSQL's password and address, and the sealing key.

    Writes postgres-password, postgres-dsn and sealing-key, readable by their owner only. Give them to the services
    as KVITTERA_POSTGRES_DSN_FILE and KVITTERA_SEALING_KEY_FILE. Keep a copy of the sealing key: without it,
    comments and contact data cannot be read again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    readable = _READABLE if password_folder else _MODE
    password = _kept((password_folder or folder) / "postgres-password", dice.token_urlsafe(24), readable)
    _kept(folder / "postgres-dsn", f"postgresql://{database}:{quote(password, safe='')}@{host}:5432/{database}")
    _kept(folder / "sealing-key", dice.token_hex(32))


def certificates(
    folder: Annotated[Path, typer.Argument(help="What clients need goes here; with ca.pem there, all is kept.")],
    servers_folder: Annotated[Path, typer.Argument(help="What only the servers may read goes here.")],
    kafka: Annotated[list[str] | None, typer.Option(help="A name that Kafka is reached by. [default: kafka]")] = None,
    postgres: Annotated[
        list[str] | None, typer.Option(help="A name that PostgreSQL is reached by. [default: postgres]")
    ] = None,
) -> None:
    """Make certificates for encrypted connections to Kafka and PostgreSQL, once, and a password for Kafka.

    Clients get ca.pem and kafka-password; servers kafka.pem (key and certificate), kafka-users.properties,
    postgres.crt and postgres.key. They are valid for 825 days: before that, empty both folders and make them anew.
    Broken off, it may be called again: where ca.pem is missing, what it signs is made anew.
    Servers with certificates of your own authority need none of this.
    """
    from datetime import UTC, datetime

    from services.certificates import Authority

    if (folder / "ca.pem").exists():
        print(f"{folder / 'ca.pem'} is there and kept, and so is all that it signed")
        return
    for place in (folder, servers_folder):
        place.mkdir(parents=True, exist_ok=True)
    authority = Authority.new(datetime.now(UTC))
    broker, database = authority.server(kafka or ["kafka"]), authority.server(postgres or ["postgres"])
    # Each side reads them under an account of its own; a folder goes to its side and to nobody else.
    password = _kept(folder / "kafka-password", dice.token_urlsafe(24), _READABLE)
    _kept(servers_folder / "kafka-users.properties", f"kvittera={password}\n", _READABLE)
    # Without ca.pem the authority that signed what lies here was broken off, and its key is gone.
    _anew(servers_folder / "kafka.pem", broker.key + broker.certificate, _READABLE)
    _anew(servers_folder / "postgres.key", database.key, _READABLE)
    _anew(servers_folder / "postgres.crt", database.certificate, _READABLE)
    _kept(folder / "ca.pem", authority.pem, _READABLE)  # last: it says that all it signed is there


def _kept(file: Path, text: str, mode: int = _MODE) -> str:
    """What stands in the file; `text`, written to it, where there is none yet."""
    with contextlib.suppress(FileExistsError), _written_beside(file, text, mode) as whole:
        try:
            os.link(whole, file)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _write_new(file, text, mode)
        print(f"{file} made")
        return text
    print(f"{file} is there and kept")
    return file.read_text(encoding="utf-8").strip()


def _anew(file: Path, text: str, mode: int) -> None:
    with _written_beside(file, text, mode) as whole:
        whole.replace(file)
    print(f"{file} made")


@contextlib.contextmanager
def _written_beside(file: Path, text: str, mode: int) -> Iterator[Path]:
    """The text on disk under another name, which goes again: who is broken off leaves no empty file to be kept."""
    beside = file.with_name(f".{file.name}.{dice.token_hex(8)}")
    _write_new(beside, text, mode)
    try:
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def _write_new(file: Path, text: str, mode: int) -> None:
    """The text on disk in a file that was not there.

    Raises:
        FileExistsError: it is there.
        OSError: it was not written, and is gone again.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
    except BaseException:
        file.unlink(missing_ok=True)
        raise
