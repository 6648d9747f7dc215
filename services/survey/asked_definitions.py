"""A definition that people were asked by never changes: an answer means what the page said when it was given."""

from services.chassis.failures import MustStop
from services.chassis.postgres import Database, named_sql
from services.survey.definitions import Definitions


async def check_unchanged(connection: Database, definitions: Definitions) -> None:
    """Note what each definition says, and refuse one that says something else than when people were asked by it.

    Raises:
        MustStop: names the definitions and what to do.
    """
    sql = named_sql("services.survey", "definitions.sql")
    said = {d.id: d.sha256 for d in definitions}
    await connection.execute(sql["note_definitions"], list(said), list(said.values()))
    changed = [r["id"] for r in await connection.fetch(sql["changed_definitions"], list(said), list(said.values()))]
    if changed:
        first = changed[0]
        name, _, version = first.rpartition(".v")
        raise MustStop(
            f"{', '.join(changed)} was asked before and says something else now: put the file back as it was, and"
            f" what is new into {name}.v{int(version) + 1}.toml (docs/surveys.md)"
        )
