"""Which time-zone data gives deliveries their local hour: kept, so that a closed month can be proven later."""

import zoneinfo
from collections.abc import Sequence
from datetime import datetime
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from services.chassis.postgres import Database, named_sql

UNTOLD = "untold"


def zone_data() -> str:
    """The version of the data that clocks here go by, such as `2026a`; `untold` where the data does not say.

    Python takes the machine's own data before that of the `tzdata` package, so the package's version may be neither.
    """
    for folder in map(Path, zoneinfo.TZPATH):
        if (folder / "UTC").exists():
            return version_in(folder)
    return version_in(resources.files("tzdata.zoneinfo"))


def version_in(folder: Traversable) -> str:
    """The version that a folder of zones tells of itself."""
    rules, version = folder.joinpath("tzdata.zi"), folder.joinpath("+VERSION")
    if rules.is_file():
        with rules.open(encoding="utf-8") as text:
            first = str(text.readline())
        return first.removeprefix("# version ").strip() if first.startswith("# version ") else UNTOLD
    return version.read_text(encoding="utf-8").strip() if version.is_file() else UNTOLD


async def note_zone_data(connection: Database, version: str, at: datetime) -> None:
    """Keep that deliveries get their hours by this version from now on, where it is not the one before."""
    await connection.execute(named_sql("services.aggregator", "zone_data.sql")["note_zone_data"], version, at)


async def noted_zone_data(connection: Database) -> Sequence[str]:
    """Every version that counted since the first start, in the order of their names."""
    rows = await connection.fetch(named_sql("services.aggregator", "zone_data.sql")["noted_zone_data"])
    return [r["version"] for r in rows]
