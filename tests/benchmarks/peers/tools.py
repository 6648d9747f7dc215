"""What the peers need to run: Maven and Java, and a virtual environment for each peer written in Python."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

_JAVA_SOURCE = Path(__file__).parents[3] / "deploy/bench/kafka-streams"
_REQUIREMENTS = Path(__file__).parent / "requirements"


class CannotRunError(Exception):
    """A peer cannot be run here; says why."""


def java() -> str:
    """The path of Java.

    Raises:
        CannotRunError: it is missing.
    """
    return _program("java", "Java 17 or later")


def build_kafka_streams(folder: Path) -> Path:
    """Build the programs on Kafka Streams in the folder; returns their jar.

    Raises:
        CannotRunError: Maven or Java is missing, or it did not build.
    """
    java()
    maven = _program("mvn", "Maven")
    place = folder / "kafka-streams"
    shutil.copytree(_JAVA_SOURCE, place)
    done = subprocess.run([maven, "-q", "-B", "package"], cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotRunError(f"Maven could not build deploy/bench/kafka-streams: {_last_line(done.stdout)}")
    return place / "target/bench-kafka-streams-1.jar"


def make_venv(name: str) -> Path:
    """The Python of the virtual environment with the packages of `requirements/<name>.txt`, made once in the cache.

    Raises:
        CannotRunError: the packages cannot be installed for this Python.
    """
    requirements = _REQUIREMENTS / f"{name}.txt"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    place = Path(cache) / "kvittera" / f"bench-{name}-{wanted}"
    ready = place / "ready"
    if not ready.exists():
        print(f"installing {name} into a virtual environment of its own (first run only)", flush=True)
        shutil.rmtree(place, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(place)])
        _run([str(place / "bin/python"), "-m", "pip", "install", "-q", "-r", str(requirements)])
        ready.touch()
    return place / "bin/python"


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotRunError(_last_line(done.stderr))


def _program(name: str, title: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise CannotRunError(f"{title} ({name}) is not installed")
    return found


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"
