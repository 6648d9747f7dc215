"""How a change of a case is kept: row, timeline and event, always together in the caller's transaction."""

from collections.abc import Mapping, Sequence

from services.chassis.postgres import Database
from services.chassis.sealing import Box
from services.survey.cases.case import Case, Entry, event_of, local_day
from services.survey.staff.refusals import Stale


async def insert(connection: Database, sql: Mapping[str, str], cases: Sequence[tuple[Case, Sequence[Entry]]]) -> None:
    """Keep new cases with their first entries, and tell of them."""
    await connection.executemany(sql["insert_case"], [_new(case) for case, _ in cases])
    await connection.executemany(sql["add_entry"], [_entry(case, e, None) for case, entries in cases for e in entries])
    await connection.executemany(sql["tell"], [_told(case) for case, _ in cases])


async def update(
    connection: Database, sql: Mapping[str, str], case: Case, entries: Sequence[Entry], seal: Box | None = None
) -> None:
    """Keep a case at its next revision, with what happened, and tell of it.

    Raises:
        Stale: the stored case is not at the revision before.
    """
    if await connection.execute(sql["update_case"], *_changed(case)) != "UPDATE 1":
        raise Stale
    await connection.executemany(sql["add_entry"], [_entry(case, e, seal) for e in entries])
    await connection.execute(sql["tell"], *_told(case))


def _new(case: Case) -> tuple[object, ...]:
    return (
        case.case_id,
        case.response_revision,
        case.opened_because,
        case.score,
        case.reasons,
        case.commented,
        case.wants_contact,
        case.contested,
        case.language,
        case.opened_at,
        case.first_due_at,
        case.response_id,
        case.desk,
        local_day(case.delivery),
        case.delivery.model_dump_json(exclude_none=True),
        case.traceparent,
    )


def _changed(case: Case) -> tuple[object, ...]:
    return (
        case.case_id,
        case.revision - 1,
        case.response_revision,
        case.state,
        case.opened_because,
        case.score,
        case.reasons,
        case.commented,
        case.wants_contact,
        case.contested,
        case.language,
        case.owner,
        case.owner_name,
        case.cause,
        case.attribution,
        case.place,
        case.controllable,
        case.outcome_sealed,
        case.outcome_told,
        case.due_at,
        case.contacted_at,
        case.resolved_at,
        case.changed_at,
        case.nature,
    )


def _entry(case: Case, entry: Entry, seal: Box | None) -> tuple[object, ...]:
    subject, name = entry.by or (None, None)
    sealed = seal.close(entry.note, str(case.case_id)) if seal is not None and entry.note is not None else None
    return case.case_id, case.revision, entry.what, subject, name, entry.at or case.changed_at, entry.detail, sealed


def _told(case: Case) -> tuple[str, str, str | None]:
    return str(case.case_id), event_of(case).model_dump_json(exclude_none=True), case.traceparent
