"""What alerts ask for stands at 0 from the start of a process: a count that begins at 1 never rose, for an alert."""

from typing import cast

from services.chassis.metrics import CounterName, Metrics
from services.chassis.postgres import Pool
from services.chassis.settings import Settings
from services.survey.api.wiring import api_mount
from tests.sending import ScriptedChannel, dispatcher
from tests.survey_app import survey

NO_POOL = cast("Pool", object())


def counts(metrics: Metrics, name: CounterName, label: str) -> dict[str, float]:
    """The values of a counter by those of its one label."""
    samples = [s for family in metrics.registry.collect() for s in family.samples if s.name == name]
    return {s.labels[label]: s.value for s in samples}


def test_answers_and_those_that_we_turn_away_are_counted_from_nought() -> None:
    app = survey(NO_POOL, Settings())
    api_mount(Settings(), app.answers, app.definitions, app.caught_up, lambda _: False)
    assert counts(app.metrics, "kvittera_answers_total", "kind") == {
        "first": 0,
        "revision": 0,
        "kiosk": 0,
        "kiosk_revision": 0,
    }
    refused = counts(app.metrics, "kvittera_answers_refused_total", "reason")
    assert refused == {"overloaded": 0, "storage": 0, "not_ready": 0}


def test_calls_whose_end_cannot_be_written_are_counted_from_nought_for_each_channel() -> None:
    metrics = dispatcher(NO_POOL, Settings(), ScriptedChannel()).metrics
    assert counts(metrics, "kvittera_unsettled_total", "channel") == {"email": 0, "sms": 0, "push": 0, "app": 0}
