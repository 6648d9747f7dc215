"""Kafka's jars: which ones (deploy/kafka/jars.lock), fetched once into the user's cache and checked.

python -m services.embedded.jars lock     make the lock again from deploy/kafka/pom.xml (needs Maven)
python -m services.embedded.jars fetch    fetch now what a first start would fetch, and make later starts quicker
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from services.embedded.errors import EmbeddedError, from_os_error

Progress = Callable[[str, int, int], None]
"""Called with what was done last, how many are done, and how many there are."""


def in_silence(_what: str, _done: int, _total: int) -> None:
    """Tell nobody about the progress."""


_FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "kafka"
LOCK = _FOLDER / "jars.lock"
_KAFKA = "org.apache.kafka:kafka_2.13:"
_THREADS = 8
_TRIES = 2
_TIMEOUT_S = 30
_LINE = re.compile(r"([\w.-]+):([\w.-]+):([\w.-]+) ([0-9a-f]{64})")
_HEAD = "# Made by `make kafka-lock` from pom.xml; change that file, not this one."
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.9.0:copy-dependencies"


@dataclass(frozen=True)
class Jar:
    """One locked file: its Maven coordinate and the sha256 of its bytes."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        """The name that Maven gives the file."""
        return f"{self.artifact}-{self.version}.jar"

    @property
    def line(self) -> str:
        """The jar as a line of the lock."""
        return f"{self.group}:{self.artifact}:{self.version} {self.sha256}"


Download = Callable[[Jar, Path], Path]
"""Fetches one jar to somewhere in the folder; raises ConnectionError when the network fails."""


def parse_lock(text: str) -> list[Jar]:
    """Read the lock; empty lines and lines that start with # say nothing.

    Raises:
        EmbeddedError: a line is not `group:artifact:version sha256`.
    """
    jars = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            wanted = "'group:artifact:version sha256'"
            raise EmbeddedError(f"Line {number} of jars.lock is not {wanted}: run make kafka-lock.")
        jars.append(Jar(found[1], found[2], found[3], found[4]))
    return jars


def locked_jars() -> list[Jar]:
    """The jars of the checkout's lock."""
    try:
        return parse_lock(LOCK.read_text())
    except FileNotFoundError as error:
        raise EmbeddedError(f"{LOCK} is missing: run this from a full checkout, or run make kafka-lock.") from error


def cache_folder(jars: Sequence[Jar]) -> Path:
    """Where the user's jars of this Kafka version are kept, whether they are there yet or not."""
    version = next(jar.version for jar in jars if jar.line.startswith(_KAFKA))
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "kvittera" / f"kafka-{version}"


def fetch(
    jars: Sequence[Jar],
    cache: Path,
    *,
    progress: Progress = in_silence,
    download: Download | None = None,
) -> list[Path]:
    """Bring every jar that is missing or broken into the cache; return all their paths.

    A jar appears under its name only whole and checked, so an interrupted or doubled run does no harm.

    Raises:
        EmbeddedError: no network, a broken file, a full or read-only disk.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_THREADS) as pool:
            present = pool.map(lambda jar: _is_whole(cache / jar.filename, jar), jars)
            missing = [jar for jar, whole in zip(jars, present, strict=True) if not whole]
            _fetch_missing(missing, cache, pool, progress, download or download_with_jgo)
    except OSError as error:
        raise from_os_error(error, cache, "Fetching Kafka") from error
    return [cache / jar.filename for jar in jars]


def _fetch_missing(
    missing: Sequence[Jar],
    cache: Path,
    pool: ThreadPoolExecutor,
    progress: Progress,
    download: Download,
) -> None:
    if not missing:
        return
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as scratch:
        work = {pool.submit(_fetch_one, jar, cache, Path(scratch), download): jar for jar in missing}
        try:
            for done, finished in enumerate(as_completed(work), start=1):
                finished.result()
                progress(f"Kafka {work[finished].filename}", done, len(missing))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _fetch_one(jar: Jar, cache: Path, scratch: Path, download: Download) -> None:
    for attempt in range(_TRIES):
        folder = scratch / f"{jar.filename}-{attempt}"
        folder.mkdir()
        try:
            file = download(jar, folder)
        except ConnectionError as error:
            raise EmbeddedError(
                "Kafka's jars could not be fetched because the network does not answer: connect to the "
                f"internet for the first start, or copy the folder {cache} from a machine that has it."
            ) from error
        if _is_whole(file, jar):
            file.replace(cache / jar.filename)
            return
    raise EmbeddedError(
        f"{jar.filename} arrived broken (its sha256 is not the one in jars.lock): start again; if it stays "
        "so, something between you and Maven Central changes files."
    )


def _is_whole(file: Path, jar: Jar) -> bool:
    return file.exists() and _sha256(file) == jar.sha256


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def download_with_jgo(jar: Jar, folder: Path) -> Path:
    """Fetch exactly one file from Maven Central; jgo is never asked to resolve what it depends on.

    Raises:
        ConnectionError: no answer, or one that broke off.
        EmbeddedError: the answer was no.
    """
    import requests
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=folder, local_repos=[], timeout=_TIMEOUT_S)
    try:
        file: Path = context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
    except requests.RequestException as error:
        raise ConnectionError(str(error)) from error
    except RuntimeError as error:
        raise EmbeddedError(
            f"{jar.filename} was refused by Maven Central or the proxy before it: start again later."
        ) from error
    return file


def write_lock() -> None:
    """Let Maven settle all versions from the pom, and write the lock with the sha256 of what it brought."""
    with tempfile.TemporaryDirectory() as scratch:
        layout = ["-DincludeScope=runtime", "-Dmdep.useRepositoryLayout=true", f"-DoutputDirectory={scratch}"]
        try:
            subprocess.run(["mvn", "-q", "-B", "-f", _FOLDER / "pom.xml", _COPY, *layout], check=True)
        except FileNotFoundError as error:
            raise EmbeddedError("Maven is not installed: install it, then run make kafka-lock again.") from error
        except subprocess.CalledProcessError as error:
            raise EmbeddedError("Maven could not resolve deploy/kafka/pom.xml: see what it printed above.") from error
        jars = [_jar_in_layout(file.relative_to(scratch), _sha256(file)) for file in Path(scratch).rglob("*.jar")]
    lines = sorted(jar.line for jar in jars)
    LOCK.write_text("\n".join([_HEAD, *lines, ""]))


def _jar_in_layout(path: Path, sha256: str) -> Jar:
    """Read the coordinate from Maven's layout: group/as/folders/artifact/version/file."""
    *group, artifact, version, _file = path.parts
    return Jar(".".join(group), artifact, version, sha256)


def main(arguments: Sequence[str]) -> int:
    """Run `lock` or `fetch`."""
    try:
        match arguments:
            case ["lock"]:
                write_lock()
                sys.stdout.write(f"{len(locked_jars())} jars are locked\n")
            case ["fetch"]:
                jars = locked_jars()
                fetch(jars, cache_folder(jars), progress=_print_progress)
                _make_archive()
            case _:
                sys.stderr.write("usage: python -m services.embedded.jars lock|fetch\n")
                return 2
    except EmbeddedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _make_archive() -> None:
    from services.embedded.kafka_archive import make_archive

    sys.stdout.write(f"what Kafka starts with is in {make_archive() or 'its jars alone'}\n")


def _print_progress(what: str, done: int, total: int) -> None:
    sys.stdout.write(f"{done}/{total} {what}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
