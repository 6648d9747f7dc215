"""What the publisher says about months: breaks of the series and comments, from a TOML file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from services.aggregator.figures.months import month_number
from services.chassis.failures import MustStop

LANGUAGES: Final = ("sv", "en")
Said = Mapping[str, str]
"""One text by language."""


@dataclass(frozen=True, slots=True)
class Notes:
    """Breaks of the series (the month that counts otherwise than the one before) and comments, by month."""

    breaks: Mapping[int, Said] = field(default_factory=dict)
    comments: Mapping[int, Said] = field(default_factory=dict)


def load_notes(file: Path | None) -> Notes:
    """The notes of a file with tables `[[break]]` and `[[comment]]`, each with `month`, `sv` and `en`.

    Raises:
        MustStop: the file cannot be read, or an entry lacks something.
    """
    if file is None:
        return Notes()
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
        tables = [dict(map(_entry, told.pop(table, []))) for table in ("break", "comment")]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise MustStop(f"KVITTERA_QUALITY_NOTES_FILE {file}: {error}") from None
    if told:
        raise MustStop(f"KVITTERA_QUALITY_NOTES_FILE {file}: unknown {', '.join(sorted(told))}")
    return Notes(*tables)


def _entry(entry: Mapping[str, str]) -> tuple[int, Said]:
    return month_number(entry["month"]), {language: str(entry[language]) for language in LANGUAGES}
