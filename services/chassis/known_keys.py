"""Whether the installation's keys are those that a service's tables were written with, looked at before anything runs.

With another key every waiting request would be refused as unreadable, and every pseudonym would be a new one: budgets,
wishes, erasures and STOP would be forgotten.
"""

from services.chassis.failures import MustStop
from services.chassis.postgres import Database, named_sql
from services.chassis.sealing import Seal


async def check_keys(connection: Database, service: str, seal: Seal) -> None:
    """Refuse keys that another installation's tables were written with; the first ones are noted.

    Raises:
        MustStop: says which setting is wrong.
    """
    sql = named_sql("services.chassis", "persons.sql")
    await connection.execute(sql["note_pseudonym_key"], seal.pseudonym_key_id)
    if (wrong := await wrong_keys(connection, service, seal)) is not None:
        raise MustStop(wrong)


async def wrong_keys(connection: Database, service: str, seal: Seal) -> str | None:
    """What is wrong with the keys, and what to do; None where nothing is. Notes nothing."""
    sql = named_sql("services.chassis", "persons.sql")
    noted = await connection.fetchval(sql["pseudonym_key"])
    sealed_by = {row["key_id"] for row in await connection.fetch(sql["sealed_by"])}
    if not sealed_by <= seal.key_ids:
        return (
            f"the tables of the {service} hold what KVITTERA_SEALING_KEY and KVITTERA_SEALING_KEYS_BEFORE do not open:"
            " set the keys of this installation, the newest as the first and all earlier ones as the second"
        )
    if noted not in {None, seal.pseudonym_key_id}:
        return (
            f"the {service} knows persons by pseudonyms of another key: the oldest key of this installation must stay"
            " the last one in KVITTERA_SEALING_KEYS_BEFORE, or wishes, erasures and STOP are forgotten"
        )
    return None
