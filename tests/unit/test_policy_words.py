"""Every reason can be told in plain words, and a changed policy can be tried without anything being sent."""

import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from schemas.delivery import ChannelKind
from services.chassis.failures import MustStop
from services.notifier.channels.reports import Progress
from services.notifier.explaining import NAMES, SENTENCES, Told, explain, sentence
from services.notifier.past import read_csv
from services.notifier.policies import read_changed
from services.notifier.policy import RULES, Policies, Rules
from services.notifier.simulating import Comparison, Side
from tests.builders import NOON, SMS, delivery


def test_every_reason_has_a_sentence_with_evidence_that_the_page_about_deciding_names(repository: Path) -> None:
    assert [rule.__name__ for rule in RULES if rule.__name__ not in SENTENCES] == []
    text = (repository / "docs/deciding.md").read_text(encoding="utf-8")
    for reason, words in SENTENCES.items():
        named = {name for _, name, _, _ in Formatter().parse(words) if name}
        row = next((line for line in text.splitlines() if line.startswith(f"| `{reason}` |")), "")
        assert {name for name in named if f"`{name}`" not in row} == set(), reason


def test_evidence_that_is_not_there_does_not_stop_the_telling() -> None:
    assert sentence("too_old", {}) == "The news is unknown hours old, and that is too old."
    assert sentence("exception_open", {"exceptions": ""}) == "Something went wrong with the parcel: none."
    assert sentence("a_code_of_tomorrow", {}) == "a_code_of_tomorrow"


def test_a_suppressed_delivery_is_explained_rule_by_rule() -> None:
    told = Told(
        delivery_id="D-1",
        decided_at=NOON,
        reason="exception_open",
        matched=("exception_open", "carrier_budget_spent"),
        evidence={
            "exceptions": "damaged",
            "carrier_budget_spent_most": "4",
            "carrier_budget_spent_days": "365",
            "policies": "contact.v2",
        },
        next_eligible_at=NOON + timedelta(days=3),
    )
    lines = list(explain(told))
    assert lines[:2] == [
        "Delivery D-1 was not asked about. Decided 2026-10-13 12:00:00 UTC.",
        "Policies: contact.v2",
    ]
    assert "  NO  exception_open            Something went wrong with the parcel: damaged." in lines
    assert "  no  carrier_budget_spent      The person has had 4 requests in 365 days, and that is our limit." in lines
    assert "  ok  opted_out" in lines
    assert lines[-2:] == [
        "The first rule that says no decides: exception_open.",
        "By that rule the person may be asked again from 2026-10-16 12:00:00 UTC on.",
    ]
    assert len([line for line in lines if line.startswith("  ")]) == len(RULES)


def test_a_request_is_explained_with_what_it_waited_for_and_what_became_of_it() -> None:
    told = Told(
        delivery_id="D-1",
        decided_at=NOON,
        reason=None,
        matched=(),
        evidence={"held_by": "quiet_hours", "sample_rate": "0.2", "language_fallback_from": "fi"},
        next_eligible_at=None,
        state="withheld",
        state_reason="answered",
        channel="sms",
        language="en",
    )
    assert list(explain(told))[-6:] == [
        "Asked by sms, in en.",
        "There is no message in the recipient's language: fi.",
        "Drawn from a share of 0.2.",
        "It waited for the end of the quiet hours.",
        "The message was stopped before it left.",
        "answered: The person has answered already.",
    ]


def test_a_request_is_explained_with_how_far_the_provider_says_it_got() -> None:
    told = Told("D-1", NOON, None, (), {}, None, "accepted", None, "sms", "sv", NOON, NOON, "undelivered")
    assert list(explain(told))[-2:] == [
        "The message was handed over 2026-10-13 12:00:00 UTC.",
        "The provider reports that the message did not arrive.",
    ]
    for progress in Progress:
        assert "The provider reports" in list(explain(replace(told, progress=progress.value)))[-1]


def side(**policies: Any) -> Side:
    rules = Rules(
        timedelta(hours=72), timedelta(0), frozenset(ChannelKind), Policies.model_validate(policies), bytes(16)
    )
    return Side(lambda _: rules)


def test_a_changed_policy_is_compared_with_the_one_that_held() -> None:
    deny = {"merchants": {"merchant": {"glod": {"ask": "deny"}}}}
    once = {"contact": {"carrier": {"most": 1, "days": 30}}}
    comparison = Comparison(side(**once), side(**once, **deny))
    past = [
        delivery((SMS,), delivery_id="D-1", merchant_id="glod"),
        delivery((SMS,), delivery_id="D-1", merchant_id="glod"),  # repeated
        delivery((SMS,), delivery_id="D-2"),  # the same person: over budget, unless D-1 was not asked about
        delivery(delivery_id="D-3", order_id="O-1", country="NO"),
        delivery((), delivery_id="D-4"),
    ]
    comparison.take((d, NOON) for d in past)
    assert comparison.deliveries == 4
    assert [(x.part, x.name, x.old, x.new, x.change) for x in comparison.lines()] == [
        ("outcome", "asked", 2, 2, 0),
        ("not asked", "carrier_budget_spent", 1, 0, -1),
        ("not asked", "merchant_denied", 0, 1, 1),
        ("not asked", "no_reachable_channel", 1, 1, 0),
        ("asked in", "NO", 1, 1, 0),
        ("asked in", "SE", 1, 1, 0),
        ("asked for", "fjallbod", 1, 2, 1),
        ("asked for", "glod", 1, 0, -1),
    ]


def test_drops_and_orders_are_remembered_from_one_delivery_to_the_next() -> None:
    comparison = Comparison(side(), side())
    for n, (order, drop) in enumerate([("O-1", None), ("O-1", None), (None, "stop-1"), (None, "stop-1")]):
        comparison.take([(delivery(({"kind": "sms", "address": f"+4670174060{n}"},), delivery_id=f"D-{n}",
                                   order_id=order, drop_id=drop), NOON)])  # fmt: skip
    assert comparison.old.reasons == {"asked": 2, "order_already_asked": 1, "drop_already_asked": 1}


CSV = """delivery_id,occurred_at,carrier,country,zone,method,merchant_id,exceptions,late,email,consent,language
D-1,2026-10-13T12:00:00Z,Nordposten,DE,Europe/Berlin,home_day,glod,,true,a@mottagare.example,own_customer consent,de
D-2,2026-10-13T12:00:00Z,Nordposten Demo,SE,Europe/Stockholm,parcel_locker,,damaged partial,,,,
"""


def test_a_csv_file_becomes_deliveries(tmp_path: Path) -> None:
    file = tmp_path / "past.csv"
    file.write_text(CSV, encoding="utf-8")
    (first, arrived), (second, _) = read_csv(file)
    assert arrived == datetime.fromisoformat("2026-10-13T12:00:00Z")
    assert (first.delivery.country, first.delivery.late, first.pii.language) == ("DE", True, "de")
    assert [c.basis for c in first.pii.consent] == ["own_customer", "consent"]
    assert [(c.kind, c.address) for c in first.pii.channels] == [("email", "a@mottagare.example")]
    assert second.delivery.exceptions == ("damaged", "partial")
    assert (second.delivery.merchant_id, second.pii.channels, second.pii.language) == (None, (), None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CSV.replace("home_day", "teleport"), r"past\.csv line 2: delivery\.method: "),
        (CSV.replace("own_customer consent", "hope"), r"past\.csv line 2: pii\.consent\.0\.basis: "),
        (CSV.replace("merchant_id", "shop"), r"past\.csv: no delivery has the field shop"),
    ],
)
def test_a_csv_file_that_does_not_fit_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "past.csv").write_text(text, encoding="utf-8")
    with pytest.raises(MustStop, match=said):
        list(read_csv(tmp_path / "past.csv"))


def test_the_command_prints_the_comparison_and_needs_no_server(tmp_path: Path) -> None:
    (tmp_path / "past.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / "countries.v2.toml").write_text("effective_from = 2030-01-01T00:00:00Z\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "services", "policy", "simulate", str(tmp_path / "countries.v2.toml"),
         "--from", str(tmp_path / "past.csv")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "2 deliveries; nothing was sent.",
        "",
        "                                      now  changed",
        "outcome asked                           1        1",
        "not asked exception_open                1        1",
        "asked in DE                             1        1",
        "asked for glod                          1        1",
    ]


def test_nothing_that_sends_can_be_reached_from_what_simulates() -> None:
    code = (
        "import sys, services.notifier.past, services.notifier.policies, services.notifier.explaining,"
        " services.notifier.simulating\n"
        "print([m for m in sys.modules if 'channels' in m and 'notifier' in m or m.endswith('notifier.dispatch')"
        " or m.startswith('aiosmtplib')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_a_changed_policy_that_is_wrong_is_named(tmp_path: Path) -> None:
    (tmp_path / "hours.v9.toml").write_text("effective_from = 2030-01-01T00:00:00Z\nnight = 1\n", encoding="utf-8")
    with pytest.raises(MustStop, match=r"hours\.v9\.toml:2: night: "):
        read_changed(tmp_path / "hours.v9.toml")
    with pytest.raises(MustStop, match="cannot read"):
        read_changed(tmp_path / "hours.v10.toml")


def test_every_reason_has_a_name_and_pages_name_it_alike(repository: Path) -> None:
    script = (repository / "services/chassis/web/scripts/ledger.js").read_text("utf-8")
    assert set(NAMES) == set(SENTENCES)
    assert dict(re.findall(r'^  (\w+): "(.+)",$', script, re.MULTILINE)) == NAMES
