"""The doctor's look at what is counted: the configured cuts, and from when on an answer is a late one."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from services.aggregator.counting.cuts import Cut, CutsFile, read_cuts, wave_days
from services.aggregator.counting.stored_cuts import (
    FileVersions,
    StoredCut,
    StoredCuts,
    cuts_before,
    difference,
    refusal,
    standing,
)
from services.chassis.postgres import connect
from services.chassis.settings import Settings
from services.doctor.findings import Finding, judged
from services.notifier.policies import read_policies


async def cuts(settings: Settings) -> list[Finding]:
    """The configured cuts are those that are counted, and answers are late from when people are reminded."""
    file = read_cuts(settings.cuts_file)
    connection = await connect(settings, "aggregator")
    try:
        if await connection.fetchval("SELECT to_regclass('counted_cut') IS NULL"):
            return []  # the look at the tables tells it
        stored, versions = await StoredCuts().all(connection), await StoredCuts().files(connection)
    finally:
        await connection.close()
    policies = read_policies(settings.policies_folder).at(datetime.now(UTC))
    counted = cuts_before(stored) or {*file.cuts}
    return [*judge_cuts(file, stored, versions), *judge_waves(counted, policies.hours.reminder_days)]


def judge_cuts(file: CutsFile, stored: Sequence[StoredCut], versions: FileVersions) -> list[Finding]:
    """Whether a service would start with this file, and whether it would count all that the file names."""
    if not stored:
        return [Finding("cuts", "well", "the first start takes the configured ones")]
    stands = standing(file, stored)
    if why_not := refusal(stands, stored, versions):
        return [Finding("cuts", "ill", why_not, "do as it says")]
    return [
        judged(
            "cuts",
            "those that are configured"
            if stands is file
            else f"the built-in ones of version {stands.version}; this version has others:"
            f" {difference(stands.cuts, file.cuts)}",
            fine=stands is file,
            otherwise="look",
            do="once no process goes back to the version before: `kvittera cuts build`, then `kvittera cuts switch`",
        )
    ]


def judge_waves(counted: Iterable[Cut], reminder_days: int | None) -> list[Finding]:
    """Whether the cuts that part early answers from late ones part them where people are reminded."""
    waves = {p: days for cut in counted for p in cut.properties if (days := wave_days(p)) is not None}
    if not waves or reminder_days is None:
        return []
    others = sorted(p for p, days in waves.items() if days != reminder_days)
    return [
        judged(
            "late answers",
            f"the policy reminds after {reminder_days} days, and {', '.join(others)} parts answers after"
            f" {', '.join(str(waves[p]) for p in others)}"
            if others
            else f"late from when people are reminded on, after {reminder_days} days",
            fine=not others,
            otherwise="look",
            do=f"count wave_{reminder_days} in place of {', '.join(others)} (docs/how-to/add-a-cut.md)",
        )
    ]
