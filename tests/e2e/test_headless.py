"""The whole system without a page: everything published is decided, asked, answered and counted once."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.kvittera import in_the_kept_data, kvittera, report_of
from tests.span_collector import Step, collecting
from tests.trace_picture import drawn

DELIVERIES = 200
LEARNED, POST = ("kvittera-survey", "invitation"), ("kvittera-survey", "POST /r/{token}")


def assert_proved(report: dict[str, Any]) -> None:
    """Nothing lost, nothing double, and every delivery accounted for."""
    found = {name: report[name] for name in ("lost", "double", "differing_cells", "clean")}
    assert found == {"lost": 0, "double": 0, "differing_cells": 0, "clean": True}
    unasked = sum(report["suppressed"].values())
    assert report["delivered"] == report["asked"] + unasked + report["pending"] + report["failed"]
    assert report["pending"] == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("headless")


@pytest.fixture(scope="module")
def collector() -> Iterator[tuple[str, Mapping[str, list[Step]]]]:
    """Where traces go, and the steps of each."""
    with collecting() as collecting_them:
        yield collecting_them


@pytest.fixture(scope="module")
def first(folder: Path, collector: tuple[str, Mapping[str, list[Step]]]) -> dict[str, Any]:
    """The report of a run on an empty folder, in which everything is traced."""
    words = ("--fresh", "--deliveries", str(DELIVERIES))
    return report_of(folder, *words, KVITTERA_OTLP_ENDPOINT=collector[0], KVITTERA_TRACE_SHARE="1")


@pytest.fixture(scope="module")
def second(folder: Path, first: dict[str, Any]) -> dict[str, Any]:
    """The report of another run in the same folder, in which each service is killed once."""
    assert first
    return report_of(folder, "--deliveries", str(DELIVERIES), "--seed", "2", "--kill", "1")


def test_a_run_counts_everything_that_was_published_once(first: dict[str, Any]) -> None:
    assert_proved(first)
    assert first["delivered"] == first["published"] == DELIVERIES
    assert first["records"] > DELIVERIES, "some deliveries are told twice"
    assert first["answered"] == first["counted"] > 0
    assert first["suppressed"]["merchants_turn"] > 0, "a shop asks about some orders itself"


def test_a_round_is_one_trace_whose_steps_hang_together(
    first: dict[str, Any], collector: tuple[str, Mapping[str, list[Step]]]
) -> None:
    assert first
    _, traces = collector
    whole = [steps for steps in traces.values() if ("kvittera-aggregator", "response") in [s.short for s in steps]]
    assert whole, "no answer was traced to its counter"
    for steps in whole:
        assert {step.short for step in steps} >= {
            ("kvittera-notifier", "delivery"),
            ("kvittera-notifier", "send"),
            ("kvittera-survey", "invitation"),
            ("kvittera-aggregator", "invitation"),
            ("kvittera-aggregator", "response"),
        }
        causes = {step.span.span_id: step.short for step in steps}
        told_by = {step.short: causes.get(step.span.parent_span_id) for step in steps}
        assert told_by["kvittera-survey", "invitation"] == ("kvittera-notifier", "delivery")
        assert told_by["kvittera-notifier", "send"] == ("kvittera-notifier", "delivery")
        assert told_by.get(POST, LEARNED) == LEARNED, "an answer by text message is posted by a gateway"
        assert told_by["kvittera-aggregator", "response"] == ("kvittera-survey", "invitation")
        assert all(0 < step.span.start_time_unix_nano <= step.span.end_time_unix_nano for step in steps)
        assert drawn(steps).count("<rect") == len(steps) + 1
    kinds = {step.short: step.span.kind for steps in traces.values() for step in steps}
    assert (kinds["kvittera-notifier", "send"], kinds[POST]) == (Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_SERVER)
    assert kinds["kvittera-aggregator", "response"] == Span.SPAN_KIND_CONSUMER
    named = {attribute.key for steps in traces.values() for step in steps for attribute in step.span.attributes}
    assert named == {
        "messaging.system",
        "messaging.destination.name",
        "messaging.destination.partition.id",
        "messaging.kafka.offset",
        "messaging.consumer.group.name",
        "kvittera.channel",
        "kvittera.result",
        "kvittera.attempt",
        "http.request.method",
        "http.route",
    }, "nothing of a person stands in a trace"


def test_who_replies_stop_has_said_never_to_the_survey_and_to_the_notifier(
    folder: Path, first: dict[str, Any], second: dict[str, Any]
) -> None:
    wishes = in_the_kept_data(folder, lambda c: c.fetchval("SELECT count(*) FROM notifier.preference WHERE never"))

    assert wishes == first["stopped"] + second["stopped"] > 0


def test_a_second_run_with_each_service_killed_adds_to_the_first(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert_proved(second)
    assert second["published"] == DELIVERIES
    assert second["delivered"] == 2 * DELIVERIES
    assert second["answered"] > first["answered"] / 2, "people are asked again on the data of an earlier run"
    assert second["counted"] == first["counted"] + second["answered"]


def test_cells_tell_what_the_runs_reported(folder: Path, second: dict[str, Any]) -> None:
    done = kvittera(folder, "cells", "--format", "json")

    assert (done.returncode, done.stderr) == (0, "")
    [total] = json.loads(done.stdout)
    assert (total["delivered"], total["asked"]) == (second["delivered"], second["asked"])
    assert total["answers"] == sum(total["scores"])
    assert total["answers"] + total["contested"] == second["counted"]


def test_cells_can_be_read_by_people_and_by_spreadsheets(folder: Path, second: dict[str, Any]) -> None:
    assert second
    table = kvittera(folder, "cells", "--cut", "terminal")
    sheet = kvittera(folder, "cells", "--cut", "terminal", "--format", "csv")

    assert (table.returncode, sheet.returncode) == (0, 0)
    assert "Göteborg" in table.stdout
    assert "Göteborg" in sheet.stdout


def test_the_topics_counted_again_give_every_live_cell(folder: Path, second: dict[str, Any]) -> None:
    done = kvittera(folder, "replay", "--from", "0", "--into", "shadow", "--json")

    found = json.loads(done.stdout)
    assert (done.returncode, found["equal"], found["differing"], found["missing"]) == (0, True, [], 0)
    assert found["counted"] > second["delivered"] + second["counted"]


def test_the_topics_are_as_their_cards_say(folder: Path, second: dict[str, Any]) -> None:
    assert second
    done = kvittera(folder, "topics", "check")

    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_no_dead_letters(folder: Path, second: dict[str, Any]) -> None:
    assert second
    done = kvittera(folder, "dlq", "list")

    assert (done.returncode, done.stdout) == (0, "there are no dead letters\n")


def test_the_audit_is_clean_until_a_counter_is_changed_by_hand(folder: Path, second: dict[str, Any]) -> None:
    assert second
    before = kvittera(folder, "audit")
    change_a_counter(folder, by=1)
    changed = kvittera(folder, "audit")
    change_a_counter(folder, by=-1)

    assert before.returncode == 0, before.stdout
    assert before.stdout.startswith("clean: 0 lost, 0 double, 0 differing cells")
    assert changed.returncode == 1
    assert changed.stdout.startswith("NOT CLEAN")
    assert "terminal 'Malmö'" in changed.stdout


def change_a_counter(folder: Path, *, by: int) -> None:
    """Change how many were very satisfied in Malmö, as no program of ours would."""
    statement = (
        f"UPDATE aggregator.cell SET s5 = s5 + {by} WHERE cell = (SELECT min(cell) FROM aggregator.cell"
        " WHERE cell >> 32 = (SELECT id FROM aggregator.unit WHERE cut = 'terminal' AND value = 'Malmö'))"
    )

    assert in_the_kept_data(folder, lambda c: c.execute(statement)) == "UPDATE 1"
