"""The checksum of Kafka's batches."""

import pytest

from services.chassis import checksums
from services.chassis.checksums import crc32c


@pytest.mark.parametrize("compiled", [True, False], ids=["by the processor", "by aiokafka's table"])
def test_parts_have_the_checksum_of_the_whole(monkeypatch: pytest.MonkeyPatch, compiled: bool) -> None:
    monkeypatch.setattr(checksums, "_IS_COMPILED", compiled)
    # The examples of RFC 3720, B.4, and the check value of the catalogue of CRCs.
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(20)), b"", bytes(range(20, 32))) == 0x46DD794E
    assert crc32c(b"123456789") == 0xE3069283


def test_here_it_is_the_processors() -> None:
    assert checksums._IS_COMPILED
