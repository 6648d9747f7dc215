"""docs/privacy.md lists every column that can hold data of a person, and no column that does not exist."""

import re
from pathlib import Path

import pytest

from services.chassis.postgres import migrations

TELLING = re.compile(
    r"sealed|wrapped|person|recipient|address|phone|mail|contact|comment|digest|subject|member|owner|by_name|token|note"
    r"|link|body$|^body|outcome_sealed"
)
HARMLESS = {
    # Flags, counts and times about data that stands elsewhere, and keys of programs and screens.
    "survey.feedback_case.commented",
    "survey.feedback_case.wants_contact",
    "survey.feedback_case.contacted_at",
    "survey.response.wants_contact",
    "survey.survey_definition.noted_at",
}


def columns() -> set[str]:
    """Every column of the schemas that hold persons, by migrations in their order."""
    found: set[str] = set()
    for service in ("notifier", "survey"):
        for _, text in migrations(f"services.{service}"):
            plain = re.sub(r"--[^\n]*", "", text)
            for table, body in re.findall(r"CREATE TABLE (\w+) \(\n(.*?)\n\);", plain, re.DOTALL):
                found |= {f"{service}.{table}.{c}" for c in re.findall(r"^    ([a-z_0-9]+) +[a-z]", body, re.MULTILINE)}
            for table, body in re.findall(r"ALTER TABLE (\w+)\s(.*?);", plain, re.DOTALL):
                found |= {f"{service}.{table}.{c}" for c in re.findall(r"ADD COLUMN (\w+)", body)}
                found -= {f"{service}.{table}.{c}" for c in re.findall(r"DROP COLUMN (\w+)", body)}
    return found


@pytest.fixture
def listed(repository: Path) -> set[str]:
    text = (repository / "docs/privacy.md").read_text(encoding="utf-8")
    return set(re.findall(r"`((?:notifier|survey)\.[a-z_]+\.[a-z_0-9]+)`", text))


def test_the_columns_are_read_from_the_migrations() -> None:
    found = columns()
    assert {"notifier.invitation.sealed", "survey.response.comment_sealed", "notifier.viewer_message.sealed"} <= found
    assert "notifier.viewer_message.recipient" not in found


def test_every_column_that_can_hold_personal_data_is_listed(listed: set[str]) -> None:
    telling = {c for c in columns() if TELLING.search(c.rpartition(".")[2])} - HARMLESS
    assert telling - listed == set()


def test_no_column_is_listed_that_does_not_exist(listed: set[str]) -> None:
    assert listed - columns() == set()
