"""What the doctor makes of what servers tell it, without any server."""

import re
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.aggregator.counting.cuts import CutsFile, cut_named, read_cuts
from services.aggregator.counting.stored_cuts import COUNTED, FileVersions, StoredCut
from services.chassis.settings import Settings
from services.doctor.cuts import judge_cuts, judge_waves
from services.doctor.findings import Finding
from services.doctor.postgres import archive_findings
from services.doctor.rights import GROUPS
from services.doctor.topics import judge_groups, judge_partitions
from services.doctor.way_out import addresses, judge_reminders
from services.doctor.written import written
from services.notifier.policies import read_policies
from services.notifier.policy import Policies

SETTINGS = Settings(sealing_key="5e" * 32, public_url="https://svar.nordposten.example", trusted_proxies=1)


def partition(number: int, leader: int, copies: Sequence[int], in_step: Sequence[int]) -> dict[str, Any]:
    return {"partition": number, "leader": leader, "replicas": list(copies), "isr": list(in_step)}


def test_partitions_that_nobody_leads_and_copies_that_are_behind_are_named() -> None:
    whole = partition(0, 1, [1, 2, 3], [1, 2, 3])
    lost = partition(1, -1, [1, 2, 3], [])
    behind = partition(2, 2, [1, 2, 3], [2, 3])
    alone = partition(3, 3, [1, 2, 3], [3])
    assert judge_partitions([{"topic": "a.v1", "partitions": [whole]}]) == [
        Finding("Kafka partitions", "well", "all 1 are led, with every copy in step")
    ]
    assert [
        (f.verdict, f.found) for f in judge_partitions([{"topic": "a.v1", "partitions": [whole, lost, behind, alone]}])
    ] == [
        ("ill", "no broker leads a.v1/1: nothing is read or written there"),
        ("ill", "one copy alone is in step: a.v1/3: nothing is written there"),
        ("look", "copies are missing or behind: a.v1/2"),
    ]


def test_a_lone_copy_of_two_is_behind_and_still_written() -> None:
    parts = [partition(0, 1, [1], [1]), partition(1, 1, [1, 2], [1])]
    assert [(f.verdict, f.found) for f in judge_partitions([{"topic": "a.v1", "partitions": parts}])] == [
        ("look", "copies are missing or behind: a.v1/1")
    ]


def test_groups_that_are_kept_by_one_broker_alone_or_by_none_are_told() -> None:
    kept = [partition(0, 1, [1], [1]), partition(1, -1, [2], [])]
    assert [(f.verdict, f.found) for f in judge_groups([{"topic": "__consumer_offsets", "partitions": kept}], 3)] == [
        ("ill", "1 of 2 partitions of __consumer_offsets have no leader: groups kept there read nothing"),
        ("look", "__consumer_offsets has 1 of 3 copies"),
    ]
    assert judge_groups([{"topic": "__consumer_offsets", "partitions": [partition(0, 1, [1], [1])]}], 1) == []
    assert judge_groups([], 3) == []  # no group has come yet, or this account may not see


def test_the_rights_of_every_group_that_a_service_reads_in_are_looked_at() -> None:
    named = {
        name
        for file in Path("services").rglob("*.py")
        for name in re.findall(r'GROUP\w*(?:: Final)? = "(kvittera-[a-z-]+)"', file.read_text(encoding="utf-8"))
        if file.parts[1] != "doctor"
    }
    assert len(named) == 8
    assert named | {"kvittera-notifier-sign-outs", "kvittera-aggregator-sign-outs"} == GROUPS


BEFORE, NOW = (CutsFile(n, [cut_named(c) for c in names]) for n, names in ((1, ["total"]), (2, ["total", "wave"])))
BUILT_IN = CutsFile(2, NOW.cuts, earlier=[BEFORE])
BY_THE_EARLIER = [StoredCut(BEFORE.cuts[0], COUNTED, datetime(2026, 11, 23, tzinfo=UTC), BEFORE.cuts[0])]


def test_cuts_that_are_new_in_a_version_are_told_with_what_shows_them() -> None:
    [told] = judge_cuts(BUILT_IN, BY_THE_EARLIER, FileVersions(1))
    assert (told.verdict, told.found) == ("look", "the built-in ones of version 1; this version has others: new: wave")
    assert "kvittera cuts build" in told.do
    assert [f.verdict for f in judge_cuts(BEFORE, BY_THE_EARLIER, FileVersions(1))] == ["well"]
    assert [f.verdict for f in judge_cuts(NOW, BY_THE_EARLIER, FileVersions(1))] == ["ill"]
    assert [f.verdict for f in judge_cuts(NOW, [], FileVersions(0))] == ["well"]


@pytest.mark.parametrize(
    ("cuts", "reminder_days", "told"),
    [
        (["total", "wave", "terminal.wave"], 3, ("well", "late from when people are reminded on, after 3 days", "")),
        (
            ["wave", "terminal.wave_7"],
            7,
            (
                "look",
                "the policy reminds after 7 days, and wave parts answers after 3",
                "count wave_7 in place of wave (docs/how-to/add-a-cut.md)",
            ),
        ),
        (["wave"], None, None),
        (["total"], 5, None),
    ],
)
def test_answers_are_late_from_when_the_policy_reminds_on(
    cuts: Sequence[str], reminder_days: int | None, told: tuple[str, str, str] | None
) -> None:
    found = [(f.verdict, f.found, f.do) for f in judge_waves([cut_named(c) for c in cuts], reminder_days)]
    assert found == ([told] if told else [])


def test_by_default_answers_are_late_when_people_are_reminded() -> None:
    default = read_policies(None).at(datetime(2026, 11, 23, tzinfo=UTC)).hours.reminder_days
    assert [f.verdict for f in judge_waves(read_cuts(None).cuts, default)] == ["well"]


@pytest.mark.parametrize(
    ("reminder_days", "told"),
    [
        (13, [("well", "after 13 days; links take answers for 14")]),
        (14, [("look", "after 14 days; links take answers for 14")]),
        (None, []),
    ],
)
def test_a_policy_that_reminds_when_links_are_closed_is_told(
    reminder_days: int | None, told: list[tuple[str, str]]
) -> None:
    policies = Policies.model_validate({"hours": {"reminder_days": reminder_days}})
    assert [(f.verdict, f.found) for f in judge_reminders(policies, 14)] == told


class Names:
    """A DNS with one answer."""

    def __init__(self, *answer: str, error: Exception | None = None) -> None:
        self.answer, self.error = answer, error

    async def __call__(self, _host: str, _port: int) -> Sequence[str]:
        if self.error is not None:
            raise self.error
        return self.answer


@pytest.mark.parametrize(
    ("names", "channel", "verdict", "found"),
    [
        (Names("193.10.1.1"), "smtp", "well", "svar.nordposten.example"),
        (Names("193.10.1.1", "10.0.0.1"), "smtp", "well", "svar.nordposten.example"),
        (Names("10.0.0.1"), "smtp", "look", "svar.nordposten.example leads to 10.0.0.1 here, which is not public"),
        (Names("10.0.0.1"), "outbox", "well", "svar.nordposten.example"),
        (Names("127.0.0.1"), "smtp", "ill", "svar.nordposten.example is the machine of whoever asks"),
        (Names("::1", "127.0.0.1"), "providers", "ill", "svar.nordposten.example is the machine of whoever asks"),
        (
            Names(error=socket.gaierror(socket.EAI_NONAME, "")),
            "smtp",
            "ill",
            "svar.nordposten.example has no address",
        ),
        (
            Names(error=socket.gaierror(socket.EAI_AGAIN, "")),
            "smtp",
            "ill",
            "svar.nordposten.example cannot be looked up now",
        ),
        (Names(error=UnicodeError()), "smtp", "ill", "svar.nordposten.example is no name"),
    ],
)
async def test_links_must_lead_where_recipients_are(names: Names, channel: str, verdict: str, found: str) -> None:
    [told] = await addresses(SETTINGS.model_copy(update={"channel": channel}), names)
    assert (told.what, told.verdict, told.found) == ("link host", verdict, found)
    assert bool(told.do) == (verdict != "well")


async def test_behind_a_proxy_that_is_not_told_of_all_visitors_would_count_as_one() -> None:
    [told] = await addresses(SETTINGS.model_copy(update={"trusted_proxies": 0}), Names("193.10.1.1"))
    assert (told.verdict, told.found) == (
        "look",
        "svar.nordposten.example, where one who guesses links shuts out everybody",
    )
    assert "KVITTERA_TRUSTED_PROXIES" in told.do


async def test_hosts_of_staff_and_of_receipts_are_looked_up_where_they_differ() -> None:
    others = SETTINGS.model_copy(
        update={"staff_url": "https://staff.nordposten.example", "receipts_url": SETTINGS.public_url}
    )
    assert [f.what for f in await addresses(others, Names("193.10.1.1"))] == ["link host", "staff host"]


async def test_settings_and_files_that_no_service_would_start_with_are_ill_each(tmp_path: Path) -> None:
    assert [f.verdict for f in await written(SETTINGS)] == ["well"]
    (tmp_path / "notes.toml").write_text("[[break]]\nmonth = 'soon'\n")
    wrong = SETTINGS.model_copy(
        update={
            "pages_zone": "Europe/Nowhere",
            "case_working_hours": "Mon-Fri 18-08",
            "quality_notes_file": tmp_path / "notes.toml",
            "cuts_file": tmp_path / "none.toml",
        }
    )
    found = await written(wrong)
    assert {f.verdict for f in found} == {"ill"}
    assert [f.do.partition(":")[0].removeprefix("correct ") for f in found] == [
        "KVITTERA_CASE_WORKING_HOURS",
        "KVITTERA_CUTS_FILE",
        "KVITTERA_PAGES_ZONE",
        "KVITTERA_QUALITY_NOTES_FILE",
    ]
    assert "there is no zone 'Europe/Nowhere'" in found[2].found


@pytest.mark.parametrize(
    ("mode", "kept", "failed", "verdicts"),
    [
        ("off", None, None, []),
        ("on", None, None, ["well"]),
        ("on", 7, 6, ["well"]),
        ("always", 6, 7, ["ill"]),
        ("on", None, 7, ["ill"]),
    ],
    ids=["not archived", "nothing to archive yet", "failed once", "fails", "never succeeded"],
)
def test_a_log_whose_archiving_fails_now_is_ill(
    mode: str, kept: int | None, failed: int | None, verdicts: list[str]
) -> None:
    kept_at, failed_at = (None if hour is None else datetime(2026, 10, 3, hour, tzinfo=UTC) for hour in (kept, failed))
    found = archive_findings(mode, kept_at, failed_at)
    assert [finding.verdict for finding in found] == verdicts
    if kept == 6:
        assert found[0].found == "archive_command fails, nothing was archived since 2026-10-03 06:00 UTC"
