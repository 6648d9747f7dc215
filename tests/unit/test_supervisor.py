"""What the demo tells about a service that refuses to run."""

from pathlib import Path

import pytest

from services.demo.supervisor import Supervisor

ENDED = '{"event": "Unclosed AIOKafkaProducer", "level": "error"}\n'


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("starting\nkvittera: set KVITTERA_SEALING_KEY\n", "set KVITTERA_SEALING_KEY"),
        (f"kvittera: Kafka cannot be reached\n{ENDED}{ENDED}", "Kafka cannot be reached"),
        ("kvittera: of an earlier start\nkvittera: of this one\n", "of this one"),
        ("starting\nended without a sentence\n", "ended without a sentence"),
        ("", ""),
    ],
)
def test_a_service_that_refuses_to_run_is_quoted_with_its_own_sentence(tmp_path: Path, log: str, told: str) -> None:
    (tmp_path / "survey.log").write_text(log, encoding="utf-8")
    assert Supervisor({}, tmp_path, {})._last_words("survey") == told
