"""How `make simulate-scale` counts: bytes of living connections, differences of readings, a year by the hour."""

import os
import re
import socket
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.capacity.demand import Demand
from tests.benchmarks.peak_hour.comparing import Row
from tests.benchmarks.peak_hour.readings import Reading
from tests.benchmarks.peak_hour.traffic import Carried, Hop, Tally
from tests.benchmarks.peak_hour.year import FIVE_DAYS, HOURS, SIX_DAYS, Shape, simulate, years

HOP = Hop("us", "server")


@pytest.fixture(name="server")
def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def connected(stack: ExitStack, server: socket.socket) -> tuple[socket.socket, socket.socket]:
    client = stack.enter_context(socket.create_connection(server.getsockname()))
    return client, stack.enter_context(server.accept()[0])


def exchange(client: socket.socket, other: socket.socket, sent: int, received: int) -> None:
    client.sendall(b"x" * sent)
    while sent:
        sent -= len(other.recv(sent))
    other.sendall(b"y" * received)
    while received:
        received -= len(client.recv(received))


def tally_of(server: socket.socket) -> Tally:
    return Tally({server.getsockname()[1]: "server"}, {os.getpid(): "us"})


def test_bytes_are_counted_from_the_first_look_on_both_ways(server: socket.socket) -> None:
    with server, ExitStack() as stack:
        client, other = connected(stack, server)
        exchange(client, other, 5_000, 700)  # before anybody looked
        tally = tally_of(server)
        tally.look()
        exchange(client, other, 3_000, 200)
        tally.look()
        assert tally.hops == {HOP: Carried(3_000, 200)}


def test_a_connection_that_came_later_counts_from_its_beginning(server: socket.socket) -> None:
    with server, ExitStack() as stack:
        tally = tally_of(server)
        tally.look()
        client, other = connected(stack, server)
        exchange(client, other, 3_000, 200)
        tally.look()
        tally.look()
        assert tally.hops[HOP].received == 200
        assert tally.hops[HOP].sent in {3_000, 3_001}  # the kernel counts the beginning of a connection as a byte


def test_what_a_connection_carried_stays_counted_when_it_has_ended(server: socket.socket) -> None:
    with server:
        tally = tally_of(server)
        tally.look()
        with ExitStack() as stack:
            exchange(*connected(stack, server), 3_000, 200)
            tally.look()
        tally.look()
        assert tally.hops[HOP].received == 200


def test_connections_to_others_are_not_counted(server: socket.socket) -> None:
    with server, ExitStack() as stack:
        tally = Tally({1: "server"}, {os.getpid(): "us"})
        exchange(*connected(stack, server), 3_000, 200)
        tally.look()
        assert tally.hops == {}


def reading(at: float, records: int, cpu: int) -> Reading:
    return Reading(at, Counter(a=records), Counter(), Counter(), 10 * records, Counter(notifier=cpu), Counter())


def test_a_difference_of_readings_is_what_came_between() -> None:
    found = reading(160, 500, 9).since(reading(100, 200, 4))
    assert (found.at, found.records["a"], found.wal_bytes, found.cpu["notifier"]) == (60, 300, 3_000, 5)


def test_a_row_tells_how_many_times_the_arithmetic_the_run_took() -> None:
    assert Row("bytes", 800, 1_000).cells() == ("bytes", "800", "1,000", "1.25")
    assert Row("MiB", None, 12.34).cells() == ("MiB", "", "12.3", "")


def test_a_year_without_weeks_and_seasons_has_no_busiest_day() -> None:
    even = Shape((1.0,) * 7, ((0, 1.0), (364, 1.0)), (1.0,) * 24, swing=0)
    found = simulate(1e9, even, 1)
    assert found.day == pytest.approx(1, rel=0.01)
    assert found.hour == pytest.approx(1 / 24, rel=0.01)
    assert found.a_second == pytest.approx(1e9 / 365 / 24 / 3_600, rel=0.03)  # the most of 8,760 draws


def test_a_year_with_one_busy_day_and_one_busy_hour_shows_both() -> None:
    a_monday = ((0, 3.0), (1, 1.0), (364, 1.0))
    found = simulate(1e9, Shape((1.0,) * 7, a_monday, (3.0, *(1.0,) * 9, *(0.0,) * 14), swing=0), 1)
    assert found.day == pytest.approx(3 * 365 / 367, rel=0.01)
    assert found.hour == pytest.approx(3 / 12, rel=0.01)


def test_the_planned_busiest_hour_covers_every_simulated_one() -> None:
    planned = Demand(1).peak_day * Demand(1).peak_hour
    for shape in (SIX_DAYS, FIVE_DAYS):
        assert max(peak.day * peak.hour for peak in years(1e9, shape)) < planned
    assert len(HOURS) == 24


def test_the_page_about_scale_tells_the_simulated_years(repository: Path) -> None:
    text = (repository / "docs/scale.md").read_text(encoding="utf-8")
    told = re.findall(r"\| (\w+) days a week \| ([\d.]+) to ([\d.]+) \| ([\d.]+) % \| (\d+) \|", text)
    shapes = {"six": SIX_DAYS, "five": FIVE_DAYS}
    assert [name for name, *_ in told] == list(shapes)
    for name, least, most, hour, a_second in told:
        found = years(1e9, shapes[name])
        assert f"{min(p.day for p in found):.2f}" == least
        assert f"{max(p.day for p in found):.2f}" == most
        assert f"{100 * max(p.hour for p in found):.1f}" == hour
        assert f"{max(p.a_second for p in found):.0f}" == a_second
