"""Where an account without rights may read and write, for PostgreSQL, which refuses to run as root.

A program run as `nobody` can open a file only when `nobody` may enter every folder above it. Those folders
are never changed: what `nobody` cannot reach is kept a second time in a folder it can.
"""

import os
import pwd
import shutil
import stat
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from services.embedded.errors import EmbeddedError, from_os_error

_READABLE_PLACES = ("/var/lib", "/var/cache")
_ORIGIN = "kept-for"
_MARKER = "data-is-kept-in"


@dataclass(frozen=True)
class Account:
    """The account PostgreSQL runs as when this process is root."""

    name: str
    uid: int
    gid: int


def account_instead_of_root() -> Account | None:
    """`nobody` when this process is root, else None: the present user will do."""
    if os.geteuid() != 0:
        return None
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError as error:
        raise EmbeddedError("This system has no account nobody: start as a normal user, not as root.") from error
    return Account(nobody.pw_name, nobody.pw_uid, nobody.pw_gid)


def may_enter(folder: Path, account: Account) -> bool:
    """Whether the account may enter the folder and all folders above it."""
    folder = folder.resolve()
    return all(_may(stat.S_IXOTH, level.stat(), account) for level in (folder, *folder.parents) if level.exists())


def _may(right: int, status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        right <<= 6
    elif status.st_gid == account.gid:
        right <<= 3
    return bool(status.st_mode & right)


def readable_place(account: Account) -> Path:
    """A folder of root's that the account can enter and that nobody else can write to."""
    for place in (*(Path(place, "kvittera") for place in _READABLE_PLACES), _in_temp()):
        try:
            _open_folder(place)
        except OSError:
            continue
        status = place.lstat()
        ours = status.st_uid == 0 and stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o022
        if ours and may_enter(place, account):
            return place
    raise EmbeddedError("Root found no folder that the account nobody may enter: start as a normal user.")


def _open_folder(folder: Path) -> None:
    """Make a folder that everybody may enter, whatever the umask; leave an existing one as it is."""
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o755)


def _in_temp() -> Path:
    return Path(tempfile.gettempdir(), "kvittera-of-root")


def readable_copy(tree: Path, group: str, account: Account) -> Path:
    """Copy the tree once to where the account can read it; later calls find it by group and name."""
    copy = readable_place(account) / group / tree.name
    if copy.is_dir():
        return copy
    _open_folder(copy.parent)
    part = Path(tempfile.mkdtemp(prefix=f"{copy.name}.part-", dir=copy.parent))
    try:
        shutil.copytree(tree, part, symlinks=True, dirs_exist_ok=True)
        for path in (part, *part.rglob("*")):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(0o755 if path.is_dir() or mode & stat.S_IXUSR else 0o644)
        part.rename(copy)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        if not copy.is_dir():  # else another start was quicker
            raise from_os_error(error, copy.parent, "Copying PostgreSQL") from error
    return copy


def place_for_data(folder: Path, account: Account) -> Path:
    """The folder itself when the account can reach it, else its stand-in in the readable place.

    A file in the folder names its stand-in, so a folder that was removed and made again starts anew, and a
    copied one does not share. Stand-ins of folders that are gone are removed at the next call.
    """
    marker = folder.resolve() / _MARKER
    if may_enter(folder, account) and not marker.exists():
        return folder
    stand_ins = readable_place(account) / "data"
    _open_folder(stand_ins)
    for place in stand_ins.iterdir():
        if _is_forsaken(place):
            shutil.rmtree(place, ignore_errors=True)
    name = _text(marker)
    if not name or _text(stand_ins / name / _ORIGIN) != str(marker):
        name = uuid.uuid4().hex
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(name)  # first, or another start would take the stand-in for forsaken
        _open_folder(stand_ins / name)
        (stand_ins / name / _ORIGIN).write_text(str(marker))
    return stand_ins / name


def _is_forsaken(place: Path) -> bool:
    marker = _text(place / _ORIGIN)
    return bool(marker) and _text(Path(marker)) != place.name


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except FileNotFoundError:
        return ""
