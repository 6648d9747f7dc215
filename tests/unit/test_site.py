"""The documentation site builds without a network and without a broken link."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def test_the_site_builds_without_a_broken_link_and_its_pages_fetch_nothing_from_elsewhere(
    repository: Path, tmp_path: Path
) -> None:
    zensical = Path(sys.executable).with_name("zensical")
    if not zensical.exists():
        missing = "no zensical: install requirements-dev.lock"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    shutil.copy(repository / "zensical.toml", tmp_path)
    shutil.copytree(repository / "docs", tmp_path / "docs")
    done = subprocess.run(
        [zensical, "build", "--strict"],
        cwd=tmp_path,
        env={**os.environ, "https_proxy": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    built = {path: path.read_text(encoding="utf-8") for path in (tmp_path / "site").rglob("*.html")}
    assert len(built) >= len(list((repository / "docs").rglob("*.md")))
    for path, text in built.items():
        assert not re.search(r'<(?:script|img|link)[^>]+(?:src|href)="https?://', text), path
