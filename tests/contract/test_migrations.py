"""Migrations run while services of the version before are at work: none may rewrite, block or break them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

_SQUAWK = Path(sys.executable).with_name("squawk")
# Matters of taste, or of migrations outside a transaction: ours run in one, which is undone as a whole.
_NOT_ASKED = (
    "prefer-robust-stmts",
    "prefer-bigint-over-int",
    "prefer-bigint-over-smallint",
    "prefer-text-field",
    "require-lock-timeout",
    "require-statement-timeout",
)
_INDEXES = {"require-concurrent-index-creation", "require-concurrent-index-deletion"}
# From before the first release: the tables were empty everywhere. Nothing is added here for a released table.
BEFORE_THE_FIRST_RELEASE = {
    "aggregator/sql/022_wide_counters.sql": {"changing-column-type"},
    "aggregator/sql/024_funnel.sql": {
        "ban-drop-column",
        "ban-drop-constraint",
        "ban-drop-view",
        "constraint-missing-not-valid",
    },
    "notifier/sql/002_persons.sql": {"ban-drop-column", "adding-required-field"},
    "notifier/sql/003_state.sql": {"ban-drop-constraint"},
    # What is renamed becomes a partition of a table of the old name (test_filled_tables.py).
    "notifier/sql/030_months.sql": {"renaming-table"},
    "notifier/sql/040_requests_3_by_month.sql": {"renaming-table"},
    "survey/sql/030_months.sql": {"renaming-table", "ban-alter-identity"},
    "survey/sql/053_visits.sql": {"ban-drop-column"},
}


def refused(*files: Path) -> dict[Path, set[str]]:
    """The rules that each file breaks."""
    options = ["--reporter", "json", "--assume-in-transaction", "--pg-version", "18", "--exclude", ",".join(_NOT_ASKED)]
    done = subprocess.run([_SQUAWK, *options, *files], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    found: dict[Path, set[str]] = {}
    for fault in json.loads(done.stdout):
        found.setdefault(Path(fault["file"]), set()).add(fault["rule_name"])
    return found


def test_no_migration_rewrites_a_table_or_breaks_the_version_before(repository: Path) -> None:
    files = sorted((repository / "services").glob("*/sql/[0-9]*.sql"))
    # Until a version is released no table has rows that an index would hold up.
    let_through = set() if any((repository / "schemas/released").glob("*/")) else _INDEXES
    found = {str(p.relative_to(repository / "services")): rules - let_through for p, rules in refused(*files).items()}
    assert len(files) >= 16
    assert {path: rules for path, rules in found.items() if rules} == BEFORE_THE_FIRST_RELEASE


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("ALTER TABLE answer ALTER COLUMN score TYPE bigint;", "changing-column-type"),
        ("ALTER TABLE answer RENAME COLUMN score TO face;", "renaming-column"),
        ("ALTER TABLE answer DROP COLUMN score;", "ban-drop-column"),
        ("ALTER TABLE answer ADD COLUMN face int NOT NULL;", "adding-required-field"),
        ("ALTER TABLE answer ADD CONSTRAINT known CHECK (score < 6);", "constraint-missing-not-valid"),
        ("CREATE INDEX answer_score ON answer (score);", "require-concurrent-index-creation"),
    ],
)
def test_a_migration_that_would_hold_up_running_services_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    file = tmp_path / "009_wrong.sql"
    file.write_text(text + "\n", encoding="utf-8")
    assert rule in refused(file)[file]


def test_a_column_that_may_be_null_and_a_table_of_its_own_are_let_through(tmp_path: Path) -> None:
    file = tmp_path / "009_right.sql"
    file.write_text(
        "ALTER TABLE answer ADD COLUMN face int;\nCREATE TABLE face (id int PRIMARY KEY);\n", encoding="utf-8"
    )
    assert refused(file) == {}
