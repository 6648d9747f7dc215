"""The comparison with peers: what is true is counted by hand here, and a system that counts otherwise is refused."""

import json
from pathlib import Path
from typing import cast

import pytest

from tests.benchmarks.counting import make_records
from tests.benchmarks.peers import comparing, tools
from tests.benchmarks.peers.bench import Bench
from tests.benchmarks.peers.figures import described, median, read_figures, table
from tests.benchmarks.peers.picture import picture
from tests.benchmarks.peers.programs import job, rows
from tests.benchmarks.peers.programs.counters import Counters
from tests.benchmarks.peers.running import Figures, Progress, second_half
from tests.benchmarks.peers.systems import KafkaStreams
from tests.benchmarks.peers.topics import read_binary, read_ours
from tests.benchmarks.peers.truth import Cells, Source, WrongCountsError, cell_key, check, count

_DELIVERY = {
    "carrier": "Nordposten Demo",
    "country": "SE",
    "postcode_prefix": "97",
    "terminal": "Luleå",
    "route": "R7",
    "driver": "driver-1",
    "service_point": "SP3",
    "merchant_id": "m5",
    "method": "home_evening",
    # 23:30 on the last of October in Stockholm.
    "occurred_at": "2026-10-31T22:30:00+00:00",
    "zone": "Europe/Stockholm",
}
# Hours from 1970 to 2026-10-31T23:00, days to 2026-10-31, months to 2026-10.
_HOUR, _DAY, _MONTH = 498_191, 20_757, 681


def answer(
    response: int, revision: int, score: int | None, *, commented: bool = False, contested: bool = False
) -> bytes:
    told = {
        "response_id": f"00000000-0000-0000-0000-{response:012d}",
        "revision": revision,
        "score": score,
        "commented": commented,
        "contested": contested,
        "delivery": _DELIVERY,
    }
    return json.dumps(told).encode()


def of_program(values: list[bytes], batch: int = 7) -> Cells:
    """What the write-behind program has in its cells after writing every so many records."""
    counters = Counters()
    for first in range(0, len(values), batch):
        counters.add(values[first : first + batch])
        counters.roll_up()
    return dict(read_binary(b"\0" + counters.key(c), job.written(n)) for c, n in counters.cells.items())


def test_the_truth_is_the_highest_revision_of_each_answer_in_thirty_cells() -> None:
    truth = count(
        [
            answer(1, 1, 5, commented=True),
            answer(2, 1, 2),
            answer(1, 2, 3),
            answer(1, 1, 5, commented=True),
            answer(3, 1, 1, contested=True),
        ]
    )

    assert len(truth) == 30
    assert set(truth.values()) == {(0, 1, 1, 0, 0, 0, 1)}
    for unit in ("total|", "carrier|Nordposten Demo", "terminal|Luleå", "merchant|m5"):
        for window, index in ((0, _HOUR), (1, _DAY), (2, _MONTH)):
            assert cell_key(unit.encode(), window, index) in truth


def test_a_cell_that_ends_at_nothing_is_as_good_as_none() -> None:
    truth = count([answer(1, 1, 5), answer(1, 2, None)])

    assert truth == {}
    check("a system", {cell_key(b"total|", 2, _MONTH): (0,) * 7}, truth)


def test_the_write_behind_program_counts_what_is_true() -> None:
    values = [value for _, value in make_records(400)[0]]

    check("write-behind", of_program(values), count(values))


def test_a_system_that_drops_one_record_is_refused() -> None:
    values = [value for _, value in make_records(400)[0]]
    dropped = json.loads(values[123])
    assert dropped["revision"] == 1

    with pytest.raises(
        WrongCountsError, match=r"^a dropper: \d+ of [\d,]+ cells are wrong, such as .* published, .* true"
    ):
        check("a dropper", of_program(values[:123] + values[124:]), count(values))


def test_a_system_that_counts_a_repeated_record_twice_is_refused() -> None:
    truth = count([answer(1, 1, 5)])

    with pytest.raises(WrongCountsError, match="30 of 30 cells are wrong"):
        check("a repeater", dict.fromkeys(truth, (0, 0, 0, 0, 2, 0, 0)), truth)


def test_a_system_that_publishes_a_cell_too_many_is_refused() -> None:
    truth = count([answer(1, 1, 5)])
    more = {**truth, cell_key(b"route|R8", 2, _MONTH): (0, 0, 0, 0, 1, 0, 0)}

    with pytest.raises(WrongCountsError, match=r"1 of 30 cells are wrong, such as route\|R8 month 681"):
        check("an inventor", more, truth)


def test_a_system_that_publishes_nothing_is_refused() -> None:
    with pytest.raises(WrongCountsError, match="30 of 30 cells are wrong"):
        check("a silent one", {}, count([answer(1, 1, 5)]))


def test_our_cells_and_the_peers_are_read_as_the_same_cell() -> None:
    told = {"scores": [0, 1, 0, 0, 9], "commented": 4, "contested": 2}
    cell = cell_key("terminal|Luleå".encode(), 0, _HOUR)
    ours = read_ours("terminal|Luleå|hour|2026-10-31T23:00".encode(), json.dumps(told).encode())
    peers = read_binary(b"\x03" + cell, bytes.fromhex("00000000 00000001 00000000 00000000 00000009 00000004 00000002"))

    assert ours == peers == (cell, (0, 1, 0, 0, 9, 4, 2))


def test_what_an_answer_counts_is_kept_as_a_small_number_and_taken_up_again() -> None:
    counts = job.packed(4, commented=True, contested=False)

    assert rows.TOLD[counts] == 12
    assert rows.COUNTS[12] == counts
    assert job.written(counts).hex(" ", 4) == "00000000 00000000 00000000 00000001 00000000 00000001 00000000"
    assert len(rows.TOLD) == 14


def test_rows_are_in_the_binary_form_of_copy() -> None:
    found = rows.cell_rows([(7, job.packed(5, commented=False, contested=False))], flush=3)

    assert found[:11] == b"PGCOPY\n\xff\r\n\0"
    assert found[19:].hex() == (
        "0009"
        "000000080000000000000007"
        "000000080000000000000003" + "0000000400000000" * 4 + "0000000400000001" + "0000000400000000" * 2 + "ffff"
    )


def test_a_peer_whose_tools_are_missing_is_left_out_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(tools.CannotRunError, match=r"^Java 17 or later \(java\) is not installed$"):
        tools.build_kafka_streams(tmp_path)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (WrongCountsError("a liar: 3 of 30 cells are wrong"), "  REFUSED a liar: 3 of 30 cells are wrong\n"),
        (
            tools.CannotRunError("pip found no wheel"),
            "  Kafka Streams, 1 thread cannot be run here: pip found no wheel\n",
        ),
    ],
)
async def test_a_system_that_is_wrong_or_cannot_run_gets_no_figures_and_the_next_one_has_its_turn(
    error: Exception, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> Figures:
        raise error

    monkeypatch.setattr(comparing, "measure", fail)
    source = Source("answers", 1, {})
    peer = KafkaStreams(Path("none.jar"), 1)
    comparison = comparing.Comparison(cast("Bench", None), [peer], tmp_path, source, source)

    assert await comparison.measure(2, tmp_path / "figures.json") == {"streams-cached-1": []}
    assert capsys.readouterr().out == told * 2
    assert not (tmp_path / "figures.json").exists()


def run(system: str, cpu: float, wall: float = 50) -> Figures:
    return Figures(system, 1_000, cpu, wall, cpu / 2, wall / 2, 5, 3, 4.25, 512, 0, 1.5)


def test_the_table_tells_medians_spreads_and_ratios_to_ours() -> None:
    found = {"kvittera": [run("kvittera", 40), run("kvittera", 60), run("kvittera", 41)], "faust": [run("faust", 410)]}

    assert median(found["kvittera"]).cpu_us == 41
    shown = table({**found, "quix": []}, {"kvittera": "ours", "faust": "Faust", "quix": "Quix"}).splitlines()
    assert shown[2].startswith("| ours | 41.0 (40–60) | 1.00 | 20.5 | 1.00 | 50.0 (50–50) | 1.00 |")
    assert shown[3].startswith(
        "| Faust | 410.0 | 10.00 | 205.0 | 10.00 | 50.0 | 1.00 | 25.0 | 1.00 | 4.25 | 512 | 1,000 | 2 |"
    )
    assert len(shown) == 4


def test_figures_that_were_written_are_told_again(tmp_path: Path) -> None:
    runs = [run("kvittera", 40), run("faust", 410), run("kvittera", 60)]
    file = tmp_path / "figures.json"
    file.write_text(json.dumps({"cores": 2, "runs": [r.as_json() for r in runs]}))

    assert read_figures(file) == {"kvittera": [runs[0], runs[2]], "faust": [runs[1]]}
    assert described(read_figures(file)) == "1,000 events, 30 counters each, load 1.5 to 1.5"


def test_the_second_half_begins_where_half_of_the_records_are_done() -> None:
    track = [Progress(400, 4, 3), Progress(500, 6, 5), Progress(1_000, 7, 5.5)]

    assert second_half(track, 1_000, published=6) == (2_000, 2_000)
    assert second_half([track[0], track[2]], 1_000, published=6) == (0, 0)


def test_the_picture_tells_each_system_and_ours_apart() -> None:
    drawn = picture([("ours", 100), ("Faust", 10_000)], "ours", "1,000 answers")

    assert "<title>CPU µs an event by system: ours 100; Faust 10,000</title>" in drawn
    assert drawn.count('class="ours"') == 1
    assert 'class="bar" x="330" y="78" width="380.0"' in drawn
    assert 'class="ours" x="330" y="44" width="190.0"' in drawn
