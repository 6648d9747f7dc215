"""What a run of the demo proves, as JSON."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import asyncpg

from services.audit import Audit
from services.chassis.postgres import connect
from services.chassis.settings import Settings
from services.demo.recipients import Acknowledged, Recipients
from services.demo.upstream import Upstream
from services.survey.answers.responses import token_hash


@dataclass(frozen=True, slots=True)
class Report:
    """Counts from every stage, and what was lost or doubled between them.

    Attributes:
        published: different deliveries that Kafka acknowledged to the simulated upstream.
        records: records, repeats included.
        answered: answers that simulated recipients were told are saved; their own log, not ours.
        stopped: who replied STOP and was told that it is taken.
        lost: acknowledged and not counted as acknowledged, by the audit and by the recipients' own log.
        double: counted beyond what was acknowledged.
    """

    published: int
    records: int
    delivered: int
    asked: int
    suppressed: Mapping[str, int]
    pending: int
    failed: int
    opened: int
    answered: int
    stopped: int
    counted: int
    lost: int
    double: int
    differing_cells: int
    seconds: float
    retries: Mapping[str, int]

    @property
    def clean(self) -> bool:
        """Whether nothing is lost, doubled or off."""
        return not (self.lost or self.double or self.differing_cells)

    @classmethod
    def of(
        cls,
        upstream: Upstream,
        recipients: Recipients,
        ledger: Mapping[str, Any],
        audit: Audit,
        missing: int,
        seconds: float,
    ) -> "Report":
        """The report of a run that came to its end."""
        return cls(
            published=upstream.published,
            records=upstream.records,
            delivered=ledger["delivered"],
            asked=ledger["asked"],
            suppressed=ledger["suppressed_by_reason"],
            pending=ledger["pending"],
            failed=ledger["failed"],
            opened=recipients.opened,
            answered=len(recipients.acknowledged),
            stopped=recipients.stopped,
            counted=audit.counted,
            lost=max(audit.lost, missing),
            double=audit.double,
            differing_cells=audit.differing_cells,
            seconds=round(seconds, 2),
            retries=dict(recipients.retries),
        )

    def write(self, file: Path) -> None:
        """Write as JSON."""
        file.write_text(json.dumps({**asdict(self), "clean": self.clean}, ensure_ascii=False, indent=1) + "\n")


async def count_missing(settings: Settings, acknowledged: Iterable[Acknowledged]) -> int:
    """How many answers from the recipients' own log are not counted as they were acknowledged."""
    said = {token_hash(a.token): a for a in acknowledged}
    survey = await connect(settings, "survey", command_timeout=120)
    aggregator = await connect(settings, "aggregator", command_timeout=120)
    try:
        rows = await survey.fetch(
            "SELECT token_sha256, invitation_id FROM invitation WHERE token_sha256 = ANY($1::bytea[])", list(said)
        )
        ids = {r["invitation_id"]: said[r["token_sha256"]] for r in rows}
        counted = await aggregator.fetch(
            "SELECT response_id, revision, score, contested FROM answer WHERE response_id = ANY($1::uuid[])", list(ids)
        )
    finally:
        await survey.close()
        await aggregator.close()
    right = sum(_as_said(ids[r["response_id"]], r) for r in counted)
    return len(said) - right


def _as_said(said: Acknowledged, counted: asyncpg.Record) -> bool:
    same: bool = (counted["score"], counted["contested"]) == (said.score, said.contested)
    return same and counted["revision"] >= said.revision
