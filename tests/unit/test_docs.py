"""The documents name every setting, metric, topic and command, and none that does not exist."""

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer.main
from pydantic import SecretStr

from schemas.cloudevents import Reason
from schemas.topics import CARDS
from services.chassis.failures import Failure
from services.chassis.metrics import COUNTERS, GAUGES, HISTOGRAMS
from services.chassis.settings import PREFIX, Settings
from services.cli import app, reference
from services.notifier.policy import RULES

MAKE = re.compile(r"(?:^|`)make ([a-z-]+)", re.MULTILINE)
KVITTERA = re.compile(r"(?:^|`)(?:\.venv/bin/)?kvittera ([a-z]+)(?: ([a-z]+))?", re.MULTILINE)
PLACE = re.compile(r"`((?:services|schemas|tests|deploy)/[\w./-]+)`(?:: `(\w+)`)?")
MADE_BY_THE_READER = {  # files of examples
    "services/survey/recipient/locales/nl/LC_MESSAGES/survey.po",
}
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def documents(repository: Path) -> dict[str, str]:
    found = [*repository.glob("*.md"), *(repository / "docs").rglob("*.md")]
    return {str(path.relative_to(repository)): path.read_text(encoding="utf-8") for path in found}


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every table row, headers included."""
    for line in text.splitlines():
        if line.startswith("|"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def first_cells(text: str, pattern: str) -> list[str]:
    """What stands in backticks in the first cell of a row, where it has the form asked for."""
    return [name[1] for row in rows(text) if (name := re.fullmatch(rf"`({pattern})`", row[0]))]


def written(value: object) -> str:
    """A setting's default as docs/settings.md writes it."""
    if value is None:
        return "unset"
    text = value.get_secret_value() if hasattr(value, "get_secret_value") else value
    return f"`{str(text).lower() if isinstance(text, bool) else text}`" if text != "" else "empty"


def pages(entries: Any) -> Iterator[str]:
    """Every page that the site's navigation names."""
    for entry in entries:
        if isinstance(entry, str):
            yield entry
        else:
            for inner in entry.values():
                yield from pages(inner)


def commands(command: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its words, groups included."""
    command = command or typer.main.get_command(app)
    if name:
        yield name, command
    for child in getattr(command, "commands", {}).values():
        yield from commands(child, f"{name} {child.name}".strip())


def test_every_setting_stands_once_in_the_settings_page_and_no_other_does(repository: Path) -> None:
    text = (repository / "docs/settings.md").read_text(encoding="utf-8")
    assert sorted(first_cells(text, "KVITTERA_[A-Z_]+")) == sorted(PREFIX + n.upper() for n in Settings.model_fields)


def test_the_settings_page_tells_each_default(repository: Path) -> None:
    text = (repository / "docs/settings.md").read_text(encoding="utf-8")
    told = {row[0].strip("`"): row[1] for row in rows(text) if row[0].startswith("`KVITTERA_")}
    assert told == {PREFIX + n.upper(): written(f.default) for n, f in Settings.model_fields.items()}


def test_no_document_names_a_setting_that_does_not_exist(repository: Path) -> None:
    secrets = {n for n, f in Settings.model_fields.items() if f.annotation is SecretStr}
    known = {PREFIX + n.upper() for n in Settings.model_fields} | {f"{PREFIX}{n.upper()}_FILE" for n in secrets}
    for path, text in documents(repository).items():
        assert set(re.findall(r"KVITTERA_[A-Z_]*[A-Z]", text)) <= known, path


def test_every_metric_stands_once_in_the_metrics_page_with_its_labels(repository: Path) -> None:
    text = (repository / "docs/metrics.md").read_text(encoding="utf-8")
    told = {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in rows(text) if "`kvittera_" in row[0]}
    known = {n: set(d[1]) for n, d in [*COUNTERS.items(), *GAUGES.items(), *HISTOGRAMS.items()]}
    assert told == known
    assert len(first_cells(text, "kvittera_[a-z_]+")) == len(known)


def test_no_document_names_a_metric_that_does_not_exist(repository: Path) -> None:
    known = {*COUNTERS, *GAUGES, *HISTOGRAMS}
    for path, text in documents(repository).items():
        named = {n for n in re.findall(r"`(kvittera_[a-z_]+)`", text) if not n.startswith("kvittera_dlq_")}
        assert named <= known, path


def test_the_topics_page_tells_every_card(repository: Path) -> None:
    text = (repository / "docs/topics.md").read_text(encoding="utf-8")
    told = {row[0].strip("`"): row[1:] for row in rows(text) if row[0].strip("`") in CARDS}
    expected = {}
    for card in CARDS.values():
        days = "compacted" if card.cleanup == "compact" else f"{card.retention.days} days"
        writers = ", ".join(card.producers)
        if card.model is None:
            expected[card.name] = [writers, days, str(card.partitions)]
        else:
            readers = ", ".join(card.consumers) or "nobody outside"
            expected[card.name] = [card.key, writers, readers, days, str(card.partitions)]
    assert {name: cells[: len(expected[name])] for name, cells in told.items()} == expected


def test_no_document_names_a_topic_that_does_not_exist(repository: Path) -> None:
    for path, text in documents(repository).items():
        assert set(re.findall(r"`([a-z]+\.[a-z]+\.v\d+(?:\.dlq)?)`", text)) <= set(CARDS), path


def test_every_command_stands_in_the_readme(repository: Path) -> None:
    text = (repository / "README.md").read_text(encoding="utf-8")
    leaves = [name for name, command in commands() if not hasattr(command, "commands")]
    assert [name for name in leaves if f"`kvittera {name}" not in text] == []


def test_the_page_of_commands_is_what_the_commands_say(repository: Path) -> None:
    assert (repository / "docs/reference/cli.md").read_text(encoding="utf-8") == reference.document(), (
        "run `make reference` and commit what changed"
    )


def test_no_document_gives_a_command_an_option_that_it_does_not_have(repository: Path) -> None:
    known = {name: {o for p in c.params for o in (*p.opts, *p.secondary_opts)} for name, c in commands()}
    seen = 0
    for path, text in documents(repository).items():
        for first, second, rest in re.findall(r"\bkvittera ([a-z]+)(?: ([a-z]+))?\b([^`\n|#]*)", text):
            options = known.get(f"{first} {second}", known.get(first, set())) | {"--help", "--version"}
            given = set(re.findall(r"(?<!\S)--[a-z-]+", rest))
            assert given <= options, f"{path}: kvittera {first} {second}"
            seen += len(given)
    assert seen > 60


def test_no_document_names_a_command_or_make_target_that_does_not_exist(repository: Path) -> None:
    known = dict(commands())
    targets = set(re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for path, text in documents(repository).items():
        assert set(MAKE.findall(text)) <= targets, path
        for first, second in KVITTERA.findall(text):
            command = known.get(first)
            assert command is not None, f"{path}: kvittera {first}"
            if second and hasattr(command, "commands"):
                assert second in command.commands, f"{path}: kvittera {first} {second}"


def test_every_option_of_the_demo_stands_in_the_operations_page(repository: Path) -> None:
    text = (repository / "docs/operations.md").read_text(encoding="utf-8")
    demo = dict(commands()).get("demo")
    options = [o for p in demo.params for o in p.opts if o not in {"-h", "--help"}] if demo else []
    assert [option for option in options if f"`{option}" not in text] == []


def test_every_http_route_stands_in_the_operations_page(repository: Path) -> None:
    text = (repository / "docs/operations.md").read_text(encoding="utf-8")
    sources = [
        p for s in ("chassis", "notifier", "survey", "aggregator") for p in (repository / "services" / s).rglob("*.py")
    ]
    routes = {r for p in sources for r in re.findall(r'Route\(\s*"([^"]+)"', p.read_text(encoding="utf-8"))}
    assert routes
    assert {route for route in routes if f"`{route.replace(':str}', '}')}`" not in text} == set()


def test_every_reason_for_a_dead_letter_stands_in_the_topics_page(repository: Path) -> None:
    text = (repository / "docs/topics.md").read_text(encoding="utf-8")
    # Those of providers' reports and of sealed rows are no records.
    records = ("aggregator/**/*.py", "notifier/arriving.py", "notifier/state.py", "survey/privacy/erasure.py")
    sources = [p.read_text(encoding="utf-8") for place in records for p in (repository / "services").glob(place)]
    raised = {reason for source in sources for reason in re.findall(r'Poison\(\s*"(\w+)"', source)}
    told = set(first_cells(text, "[a-z_]+"))
    assert told == {*get_args(Reason), *raised, "handler_failed"}


def test_every_reason_for_not_asking_stands_once_in_the_page_about_deciding_in_the_order_of_the_rules(
    repository: Path,
) -> None:
    text = (repository / "docs/deciding.md").read_text(encoding="utf-8")
    rules = text.partition("## The rules")[2].partition("\n## ")[0]
    assert first_cells(rules, "[a-z_]+") == [rule.__name__ for rule in RULES]


def test_the_readme_says_how_to_start_and_how_to_test(repository: Path) -> None:
    text = (repository / "README.md").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("make ")][:2] == ["make demo", "make test"]


@pytest.mark.parametrize("failure", Failure.__subclasses__())
def test_every_kind_of_failure_is_explained_to_contributors(repository: Path, failure: type[Failure]) -> None:
    assert f"`{failure.__name__}`" in (repository / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_test_that_a_document_names_exists(repository: Path) -> None:
    sources = "".join(p.read_text(encoding="utf-8") for p in (repository / "tests").rglob("test_*.py"))
    for path, text in documents(repository).items():
        named = set(re.findall(r"`(test_[a-z0-9_]+)`", text))
        assert {name for name in named if f"def {name}(" not in sources} == set(), path


def test_every_file_that_a_document_names_exists_and_holds_the_name_told_with_it(repository: Path) -> None:
    for path, text in documents(repository).items():
        for file, name in PLACE.findall(text):
            place = repository / file
            assert place.exists() or file in MADE_BY_THE_READER, f"{path} names {file}"
            assert not name or name in place.read_text(encoding="utf-8"), f"{path}: {file} holds no {name}"


def test_every_guarantee_names_what_keeps_it_by_a_name_that_the_sources_hold(repository: Path) -> None:
    kept = [p for kind in ("py", "sql", "html") for p in (repository / "services").rglob(f"*.{kind}")]
    sources = "".join(p.read_text(encoding="utf-8") for p in kept)
    guards = (repository / "docs/guarantees.md").read_text(encoding="utf-8").partition("## Tests that guard them")[2]
    table = [row for row in rows(guards) if row[0][:1].isdigit()]
    assert {row[0].split()[0] for row in table} == {str(n) for n in range(1, 12)}
    assert table == sorted(table, key=lambda row: int(row[0].split()[0]))
    for row in table:
        names = re.findall(r"`(?:[\w.]+/)?([a-z_]\w+)`", row[1])
        assert {name for name in names if name not in sources} == set(), row[0]
        assert re.search(r"`test_[a-z0-9_]+`", row[2]), row[0]


def test_the_security_checklist_has_every_row_and_each_row_names_a_test(repository: Path) -> None:
    table = [row for row in rows((repository / "docs/security.md").read_text(encoding="utf-8")) if row[0].isdigit()]
    assert {int(row[0]) for row in table} == set(range(1, 35))
    assert [row[0] for row in table if not re.search(r"`test_[a-z0-9_]+`", row[3])] == []


def test_every_link_between_documents_leads_somewhere(repository: Path) -> None:
    for path, text in documents(repository).items():
        for target in LINK.findall(text):
            if "://" in target or target.startswith("mailto:"):
                continue
            place = ((repository / path).parent / target).resolve()
            assert place.is_relative_to(repository.resolve()), f"{path} links to {target}, which is outside"
            assert place.exists(), f"{path} links to {target}"


def test_every_document_stands_once_in_the_navigation_of_the_site(repository: Path) -> None:
    nav = tomllib.loads((repository / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    documents = sorted(str(path.relative_to(repository / "docs")) for path in (repository / "docs").rglob("*.md"))
    assert sorted(pages(nav)) == documents, "add the page to nav in zensical.toml"


def test_every_decision_is_listed_and_tells_what_was_rejected_and_when_to_look_again(repository: Path) -> None:
    folder = repository / "docs/adr"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    decisions = sorted(p for p in folder.glob("[0-9]*.md"))
    assert [int(p.name[:4]) for p in decisions] == list(range(1, len(decisions) + 1))
    for decision in decisions:
        assert f"({decision.name})" in listed
        headings = re.findall(r"^## (.+)$", decision.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings == ["Context", "Decision", "Rejected", "Revisit when"], decision.name


def test_a_stop_message_that_sends_to_a_document_names_one_that_exists(repository: Path) -> None:
    sources = [p.read_text(encoding="utf-8") for p in (repository / "services").rglob("*.py")]
    named = {found for source in sources for found in re.findall(r"docs/[a-z/]+\.md", source)}
    assert named
    assert {name for name in named if not (repository / name).exists()} == set()


def test_the_ci_script_is_executable_and_valid_bash(repository: Path) -> None:
    script = repository / ".ci/run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", script], check=True)
    assert re.search(r"^make lint\n(.*\n)*make test$", script.read_text(encoding="utf-8"), re.MULTILINE)
