"""What `kvittera status` makes of what it saw."""

from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import TopicPartition

from services.chassis.settings import Settings
from services.cli.status import _follow, rows
from services.status import Broker, Lag, Status, Store

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ANSWERS = TopicPartition("response.recorded.v1", 0)
MORE_ANSWERS = TopicPartition("response.recorded.v1", 1)
LETTERS = TopicPartition("delivery.completed.v1.dlq", 0)
SENDING: dict[str, Any] = {
    "deliveries": {"delivered": 10, "asked": 6, "suppressed": 2, "pending": 2, "failed": 0},
    "deliveries_gap": 0,
    "invitations": {"accepted": 6, "planned": 1, "in_doubt": 1},
    "due": 1,
    "later": 0,
    "in_doubt": 1,
    "oldest_doubt_seconds": 42.0,
    "sending": "on",
}


def seen(*, saved_seconds: float = 0.0, uncounted_seconds: float = 0.0, away: tuple[str, ...] = ()) -> Status:
    stores = {
        "notifier": Store({}, 0, 0.0, 5, SENDING),
        "survey": Store(
            {}, 3, 25.0, 0, {"cases": {"open": 2}, "cases_overdue": 1, "unpublished_answer_seconds": saved_seconds}
        ),
        "aggregator": Store({ANSWERS: 7, MORE_ANSWERS: 4}, 0, 0.0, 6, {"unpublished_changes": 0}),
    }
    begins = {ANSWERS: 0, MORE_ANSWERS: 0, LETTERS: 5}
    ends = {ANSWERS: 7, MORE_ANSWERS: 9, LETTERS: 8}
    return Status(NOW, stores, Broker(begins, ends, uncounted_seconds), away)


def test_lag_is_told_for_each_partition_that_a_service_reads() -> None:
    assert seen().lags == [
        Lag("aggregator", "response.recorded.v1", 0, 0),
        Lag("aggregator", "response.recorded.v1", 1, 5),
    ]


def test_a_position_beyond_the_end_is_no_negative_lag() -> None:
    stores = {"aggregator": Store({ANSWERS: 9}, 0, 0.0, 1, {})}
    assert Status(NOW, stores, Broker({ANSWERS: 0}, {ANSWERS: 7})).lags[0].records == 0


def test_dead_letters_that_kafka_has_dropped_are_not_counted() -> None:
    assert seen().dead_letters == {"delivery.completed.v1.dlq": 3}


@pytest.mark.parametrize(("saved", "uncounted", "behind"), [(0.0, 0.0, 0.0), (4.0, 1.0, 4.0), (0.0, 2.5, 2.5)])
def test_counters_are_as_far_behind_as_the_oldest_saved_answer_that_is_not_counted(
    saved: float, uncounted: float, behind: float
) -> None:
    assert seen(saved_seconds=saved, uncounted_seconds=uncounted).behind_seconds == behind


def test_how_far_counters_are_behind_is_not_known_without_kafka() -> None:
    without = Status(NOW, seen().stores, None, ("Kafka cannot be reached",))
    assert without.behind_seconds is None
    assert without.lags == []
    assert without.as_dict()["dead_letters"] is None


def test_people_read_what_stands_where_and_what_needs_them() -> None:
    told = dict(rows(seen(uncounted_seconds=2.5, away=("Kafka sulks",))))
    assert told == {
        "cannot look at": "[red]Kafka sulks[/red]",
        "deliveries": "10 delivered, 6 asked, 2 suppressed, 2 pending, 0 failed",
        "requests": "6 accepted, 1 planned, 1 in_doubt",
        "waiting": "1 due, 0 later (held requests and reminders)",
        "in doubt": "[yellow]1 sends, the oldest 42 s[/yellow]",
        "sending": "on",
        "counters": "2.5 s behind",
        "open cases": "2 open[yellow], 1 overdue[/yellow]",
        "notifier": "5 connections; outbox empty",
        "survey": "[red]does not run[/red]; [yellow]3 rows wait, the oldest 25.0 s[/yellow]",
        "aggregator": "6 connections; outbox empty",
        "lag of the aggregator": "response.recorded.v1/1: 5",
        "dead letters": "[yellow]3 in delivery.completed.v1.dlq[/yellow]",
    }


def test_machines_read_the_same() -> None:
    told = seen().as_dict()
    assert told["lag"][1] == {"service": "aggregator", "topic": "response.recorded.v1", "partition": 1, "records": 5}
    assert told["dead_letters"] == {"delivery.completed.v1.dlq": 3}
    assert told["services"]["notifier"]["deliveries"]["delivered"] == 10
    assert told["services"]["survey"]["cases_overdue"] == 1


def test_without_a_terminal_each_look_is_printed_below_the_one_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks: list[str] = []

    async def look(_: Settings) -> Status:
        return seen(away=("Kafka sulks",))

    def wait(_: float) -> None:
        looks.append(capsys.readouterr().out)
        if len(looks) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("services.status.look", look)
    monkeypatch.setattr("services.cli.status.time.sleep", wait)
    _follow(Settings(), 2.0)
    assert [text.count("Kafka sulks") for text in looks] == [1, 1]
