"""Why no connection to PostgreSQL came about is told as it is."""

import ssl

import asyncpg
import pytest
from pydantic import SecretStr

from services.chassis.failures import MustStop
from services.chassis.postgres import connect
from services.chassis.settings import Settings

SETTINGS = Settings(postgres_dsn=SecretStr("postgresql://u:secret@db.example/k?sslmode=verify-full"))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ssl.SSLCertVerificationError("certificate verify failed"), ssl.SSLError),
        (ValueError("invalid DSN: secret"), MustStop),
    ],
    ids=["certificate", "address"],
)
async def test_a_certificate_that_does_not_hold_is_told_apart_from_an_address_that_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, error: Exception, told: type[Exception]
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(asyncpg, "connect", refuse)
    with pytest.raises(told) as refused:
        await connect(SETTINGS, "survey")

    assert "secret" not in str(refused.value)
