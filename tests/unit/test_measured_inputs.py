"""What the arithmetic of a year stands on is what the pages print, and docs/scale.md says what it gives."""

import json
import re
from dataclasses import fields
from pathlib import Path
from uuid import UUID

import orjson
import pytest

from schemas.cloudevents import Event, to_headers
from schemas.topics import INVITATION_PROGRESS
from services.capacity.cost import Cost, Prices
from services.capacity.demand import Demand
from services.capacity.figures import Capacity
from services.capacity.measured import Input, Measured, inputs, measured
from services.capacity.told import count, hop_rows, rows
from tests.benchmarks.peak_hour.comparing import AT_MOST, lines
from tests.benchmarks.peak_hour.running import Ran
from tests.benchmarks.peak_hour.shares import found_in
from tests.builders import NOON

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
RUN = "tests/benchmarks/peak_hour/run.json"
"""What `make simulate-scale` measured, as docs/scale.md tells it."""
CALM_RUN = "tests/benchmarks/peak_hour/run_calm.json"
"""Another one, on a calmer machine: where the arithmetic has from what nothing else measures."""
EACH = pytest.mark.parametrize("entry", inputs(), ids=lambda entry: entry.name)


def stored(file: Path) -> Ran:
    return Ran(**json.loads(file.read_text(encoding="utf-8")))


@pytest.fixture(name="scale")
def page_about_scale(repository: Path) -> str:
    return (repository / "docs/scale.md").read_text(encoding="utf-8")


def numbers(text: str) -> set[float]:
    return {float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*(?:\.\d+)?", text)}


def test_there_is_an_input_for_each_field_and_no_other() -> None:
    assert [entry.name for entry in inputs()] == [field.name for field in fields(Measured)]


@EACH
def test_an_input_is_the_figure_that_its_page_prints(entry: Input, repository: Path) -> None:
    text = (repository / entry.page).read_text(encoding="utf-8")
    assert entry.printed in text
    assert entry.value in numbers(entry.printed)


@EACH
def test_an_input_says_how_and_when_it_was_measured(entry: Input) -> None:
    assert entry.what
    assert entry.how
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", entry.date)


@EACH
def test_the_page_about_scale_lists_the_input(entry: Input, scale: str) -> None:
    value = f"{entry.value:,g}" if entry.value < 100 else f"{entry.value:,.0f}"
    assert f"| {entry.what} | {f'{value} {entry.unit}'.strip()} | {entry.how} |" in scale


def test_what_comes_from_a_run_is_what_that_run_says_and_not_the_one_beside_it(repository: Path) -> None:
    known = measured()
    taken = found_in(stored(repository / CALM_RUN)).inputs()
    assert taken != found_in(stored(repository / RUN)).inputs()
    assert {name: getattr(known, name) for name in taken} == taken


@pytest.mark.parametrize(("micros", "page", "printed"), AT_MOST.values(), ids=AT_MOST)
def test_processor_time_beside_the_run_is_what_its_page_prints(
    micros: float, page: str, printed: str, repository: Path
) -> None:
    assert printed in (repository / page).read_text(encoding="utf-8")
    assert micros in numbers(printed)


def test_the_page_has_the_arithmetic_beside_the_run(repository: Path, scale: str) -> None:
    assert "\n".join(lines(stored(repository / RUN), measured())) in scale


def test_the_page_says_what_the_arithmetic_gives(scale: str) -> None:
    year, ten = (Capacity(Demand(n), measured()) for n in (1e9, 1e10))
    wanted = [f"| {what} | {a} | {b} |" for (what, a), (_, b) in zip(rows(year), rows(ten), strict=True)]
    hops = zip(hop_rows(year), hop_rows(ten), strict=True)
    wanted += [f"| {what} | {s} | {y} | {s10} | {y10} |" for (what, s, y), (_, s10, y10) in hops]
    costs = zip(*(Cost(capacity, Prices()).items for capacity in (year, ten)), strict=True)
    wanted += [f"| {a.what} | {count(a.quantity)} | {count(b.quantity)} |" for a, b in costs]
    assert [line for line in wanted if line not in scale] == []


def test_a_step_takes_what_its_example_takes_with_key_and_headers(repository: Path) -> None:
    """No receipts come in the run, and nobody leaves a page open, so it has no such record."""
    example = orjson.loads((repository / "schemas/examples/invitation.progress.v1/valid-reached.json").read_bytes())
    event = Event(
        id=str(UUID(int=7)),
        source="/kvittera/notifier",
        type=INVITATION_PROGRESS,
        time=NOON,
        data=b"",
        traceparent=TRACE,
    )
    headers = sum(len(name) + len(value) for name, value in to_headers(event))
    key = len(example["delivery"]["delivery_id"])
    assert measured().step_record == len(orjson.dumps(example)) + headers + key
