"""What every service does with its process before it opens anything."""

import gc
import importlib

import pytest

from services.chassis.settings import Settings


class OpenedTooFarError(Exception):
    """The service has come to its database."""


async def stop_here(*_: object, **__: object) -> None:
    raise OpenedTooFarError


@pytest.mark.parametrize("service", ["survey", "notifier", "aggregator"])
async def test_a_service_looks_for_garbage_seldom(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = importlib.import_module(f"services.{service}.app")
    monkeypatch.setattr(app, "configure_logs", lambda *_: None)
    monkeypatch.setattr(app, "open_pool", stop_here)
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    try:
        with pytest.raises(OpenedTooFarError):
            await app.run(Settings(sealing_key="5e" * 32))
        assert gc.get_threshold() == (100_000, 50, 100)
    finally:
        gc.set_threshold(*before)
