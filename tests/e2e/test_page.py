"""The demo with its page: what is shown moves, the counter can be killed and catches up, Ctrl-C ends everything."""

import json
import re
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dashboards import panels
from tests.kvittera import RunningDemo, demo_with_page, kvittera, states, still_running
from tests.prometheus import holding, needs_prometheus

ANSWERS = "response.recorded.v1"
QUIET_IN_A_DEMO = {
    "Turned away a second",
    "Machine-like answers a second",
    "Stopped just before leaving, by reason",
    "Sending",  # no volume ever pauses it
    "Calls to providers, by result",
    "Seconds a call to a provider takes, 99 %",
    "What providers report of messages",
    "Parts of text messages",
    "Fate unknown, and second messages",
    "Replies by text message",
    "Tries again a second",
    "Rows waiting for Kafka",  # every row has its topic
    "Since the latest audit",  # the page audits by itself, and keeps nothing
    "What staff did with praise",
    "Words to people about their cases",
    "Sign-ins of staff",
    "Personal data past its time, deleted",
    "Whole months past their time, dropped",
}
"""Panels with a counter that counts what a demo without trouble, providers and staff has not."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    with demo_with_page(tmp_path_factory.mktemp("page"), "--rate", "5") as running:
        yield running


def wait_for(demo: RunningDemo, what: Callable[[dict[str, Any]], bool], seconds: float = 60) -> dict[str, Any]:
    """The first state in which something holds."""
    state: dict[str, Any] = {}
    for state in states(demo, round(seconds * 2)):
        if what(state):
            return state
    raise AssertionError(f"not within {seconds} s; the last state: {state}")


def tell(demo: RunningDemo, path: str, **words: object) -> None:
    request = urllib.request.Request(demo.url + path, json.dumps(words).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as reply:
        assert reply.status == 200


def audited(demo: RunningDemo) -> dict[str, Any]:
    done = kvittera(demo.folder, "audit", "--json", timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_page_answers_with_everything_that_it_loads(demo: RunningDemo) -> None:
    with urllib.request.urlopen(demo.url, timeout=120) as page:
        text = page.read().decode()

    assert "<title>Kvittera demo</title>" in text
    for path in ("/demo/assets/demo.js", "/demo/assets/page.css", "/live", "/api/cells", "/ledger"):
        with urllib.request.urlopen(demo.url + path, timeout=120) as reply:
            assert reply.status == 200


def test_the_events_show_deliveries_turning_into_answers(demo: RunningDemo) -> None:
    first = wait_for(demo, lambda state: state["topics"][ANSWERS] > 0)
    later = wait_for(demo, lambda state: state["topics"][ANSWERS] > first["topics"][ANSWERS])

    assert later["running"] == {"notifier": True, "survey": True, "aggregator": True}
    assert later["events"] > first["events"]
    assert later["rate"] == 5


def test_commands_find_the_running_demo_by_its_folder(demo: RunningDemo) -> None:
    topics = kvittera(demo.folder, "topics", "check")
    letters = kvittera(demo.folder, "dlq", "list", "delivery.completed.v1")
    migrated = kvittera(demo.folder, "migrate")

    assert topics.returncode == 0, topics.stdout + topics.stderr
    assert letters.stdout.split() == ["0", "in", "all"]
    assert migrated.stdout.splitlines() == [f"{name}: up to date" for name in ("notifier", "survey", "aggregator")]
    assert audited(demo)["clean"]


def test_a_second_demo_in_the_same_folder_says_who_holds_it(demo: RunningDemo) -> None:
    other = kvittera(demo.folder, "demo", "--headless", timeout=120)

    assert (other.returncode, other.stdout) == (2, "")
    assert f"Process {demo.process.pid} already runs in .kvittera" in other.stderr
    assert "Traceback" not in other.stderr


def test_answers_keep_coming_while_the_aggregator_is_killed_and_it_catches_up(demo: RunningDemo) -> None:
    tell(demo, "/demo/aggregator", run=False)
    down = wait_for(demo, lambda state: not state["running"]["aggregator"])
    counted = audited(demo)["counted"]
    wait_for(demo, lambda state: state["topics"][ANSWERS] >= down["topics"][ANSWERS] + 8)
    behind = audited(demo)
    tell(demo, "/demo/aggregator", run=True)
    until = time.monotonic() + 120
    while (now := audited(demo))["counted"] < behind["acknowledged"] and time.monotonic() < until:
        time.sleep(0.2)

    assert behind["counted"] == counted, "nobody counts while the aggregator is down"
    assert behind["acknowledged"] > counted
    assert now["counted"] >= behind["acknowledged"]
    assert (now["lost"], now["double"], now["differing_cells"]) == (0, 0, 0)


def test_status_and_load_find_the_running_demo_by_its_folder(demo: RunningDemo) -> None:
    driven = kvittera(
        demo.folder, "load", "--rate", "20", "--seconds", "2", "--settle", "120", "--report", "load.json", timeout=200
    )
    status = kvittera(demo.folder, "status", "--json")

    assert driven.returncode == 0, driven.stdout + driven.stderr
    told = json.loads((demo.folder / "load.json").read_text())
    assert told["published"] == told["decided"] == 40
    assert told["messages"] == told["asked"] == told["delivery_to_message_ms"]["n"] > 20
    assert told["answer_to_counter_ms"]["n"] >= told["answered"] > 0
    assert 0 < told["answer_to_counter_ms"]["p50"] <= told["answer_to_counter_ms"]["p99"]
    assert status.returncode == 0, status.stdout + status.stderr
    seen = json.loads(status.stdout)
    assert seen["away"] == []
    assert seen["services"]["notifier"]["deliveries"]["delivered"] >= 40
    assert all(service["connections"] > 0 for service in seen["services"].values())


def test_every_panel_of_the_dashboards_asks_for_what_the_services_measure(demo: RunningDemo, tmp_path: Path) -> None:
    needs_prometheus()
    wait_for(demo, lambda state: state["topics"][ANSWERS] > 5 and state["topics"]["satisfaction.cells.v1"] > 0)
    shown = {}
    for service in ("notifier", "survey", "aggregator"):
        log = (demo.folder / f".kvittera/logs/{service}.log").read_text(encoding="utf-8")
        address = re.findall(r"\"listens\": \"([^\"]+)", log)[-1]
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=120) as reply:
            shown[service] = reply.read().decode()
    empty, unnamed = set(), set()
    with holding(shown, tmp_path) as prometheus:
        for title, queries in panels().items():
            for query, labels in queries:
                lines = prometheus.query(query)
                empty |= set() if lines else {title}
                unnamed |= {title for line in lines if labels - line["metric"].keys()}

    assert empty <= QUIET_IN_A_DEMO
    assert unnamed == set()


def test_ctrl_c_ends_everything_and_leaves_no_process(demo: RunningDemo) -> None:
    family = demo.family()
    assert len(still_running(family)) >= 6, "demo, Kafka, PostgreSQL and three services"
    began = time.monotonic()

    demo.press_ctrl_c()
    code = demo.process.wait(120)
    took = time.monotonic() - began

    assert (code, took < 100) == (0, True), f"exit code {code} after {took:.1f} s: {demo.said}"
    assert still_running(family) == []
    assert not (demo.folder / ".kvittera" / "running.json").exists()
    assert "Traceback" not in demo.said
