"""What a year of deliveries takes: the arithmetic, by hand."""

import json
from dataclasses import fields, replace

import pytest
from typer.testing import CliRunner

from services.capacity.cost import Cost, Prices
from services.capacity.demand import Demand
from services.capacity.figures import Capacity
from services.capacity.measured import Measured
from services.capacity.network import Network
from services.capacity.told import as_dict, cost_rows, size
from services.cli import app

PLAIN = Measured(
    sent_a_second=50,
    answers_a_second=100,
    count_us=1_000,
    decision_bytes=500,
    request_bytes=3_000,
    reminder_bytes=1_000,
    link_bytes=900,
    answer_bytes=800,
    outbox_bytes=1_000,
    delivery_record=900,
    decision_record=1_000,
    step_record=700,
    answer_record=800,
    cell_record=500,
    cells_an_event=2,
    mirror_bytes=16,
    send_wal=7_000,
    link_wal=3_000,
    count_wal=1_000,
    count_wal_large=500,
    send_client=6_000,
    link_client=2_000,
    count_client=1_500,
    page_bytes=30_000,
    call_bytes=1_200,
    postgres_us=1_000,
    kafka_us=500,
)
YEAR = Demand(
    365 * 36_000,
    peak_day=2,
    peak_hour=0.1,
    asked=0.5,
    answered=0.2,
    reminded=0.6,
    revisions=2,
    steps=1,
    replicas=3,
    standbys=1,
)
"""36,000 deliveries on a mean day, 7,200 in the busiest hour."""
LARGE = replace(YEAR, deliveries_a_year=365 * 36_000 * 1_000)


def test_the_busiest_hour_follows_from_the_year() -> None:
    found = Capacity(YEAR, PLAIN)
    assert found.deliveries_a_second == pytest.approx(2)
    assert found.decisions_a_delivery == pytest.approx(1.5)  # each decided, every second one asked
    assert found.answers_a_second == pytest.approx(0.4)
    assert found.events_a_second == pytest.approx(2 * (1.5 + 0.5 + 0.2))  # decisions, steps, answers


def test_reminders_are_messages_too() -> None:
    found = Capacity(YEAR, PLAIN)
    assert found.messages_a_delivery == pytest.approx(0.8)  # a half asked, six tenths of that again
    assert found.messages_a_second == pytest.approx(1.6)


def test_there_are_never_fewer_than_two_processes() -> None:
    small = Capacity(YEAR, PLAIN)
    assert (small.notifiers, small.surveys, small.aggregators, small.partitions) == (2, 2, 2, 6)


def test_processes_are_planned_at_half_of_what_one_does_and_partitions_for_twice_the_readers() -> None:
    large = Capacity(LARGE, PLAIN)
    assert large.notifiers == 80  # 2,000 deliveries a second, 25 planned for each
    assert large.surveys == 4  # 400 a second, 100 planned for each: that is half of its most already
    assert large.aggregators == 9  # 4,400 a second, 500 planned for each: one counts 1,000
    assert large.partitions == 162  # twice 80, in steps of six


def test_where_more_messages_leave_than_deliveries_come_notifiers_follow_the_messages() -> None:
    reminding = replace(LARGE, asked=1.0, reminded=1.0)
    assert Capacity(reminding, PLAIN).notifiers == 160  # 4,000 messages a second, 25 planned for each


def test_disk_follows_from_bytes() -> None:
    found = Capacity(YEAR, PLAIN)
    a_request = 3_000 + 0.6 * 1_000 + 900 + 0.2 * 800
    assert found.database_bytes_a_delivery == pytest.approx(500 + 0.5 * a_request)
    assert found.database_bytes_a_year == pytest.approx(365 * 36_000 * (500 + 0.5 * 4_660))
    assert found.outbox_rows == pytest.approx(3 * 72_000 * 2.2)
    assert found.outbox_bytes == pytest.approx(3 * 72_000 * 2.2 * 1_000)
    assert found.kafka_bytes_kept == pytest.approx(36_000 * (7 * 900 + 400 * (1_500 + 350 + 160)))


def test_the_write_ahead_log_is_that_of_all_three_services() -> None:
    assert Capacity(YEAR, PLAIN).log_bytes_a_second == pytest.approx(2 * (7_000 + 1_500 + 2_200))


def test_cells_grow_with_units_and_hours_and_not_with_deliveries() -> None:
    demand = Demand(1e9, units=10, hours_a_day=2)
    assert Capacity(demand, PLAIN).cells_a_year == 10 * (730 + 365 + 53 + 12 + 1)
    assert Capacity(demand, PLAIN).mirror_bytes_after_a_year == 11_610 * 16


def test_the_network_is_told_hop_by_hop() -> None:
    found = {hop.what: hop.bytes for hop in Network(Capacity(YEAR, PLAIN)).hops}
    written = 900 + 1_500 + 350 + 160 + 2.2 * 2 * 500
    assert found == {
        "written to Kafka": pytest.approx(written),
        "between brokers": pytest.approx(2 * written),
        # deliveries and steps by one service, decisions by two, answers by three, cells by one
        "read from Kafka": pytest.approx(900 + 2 * 1_500 + 350 + 3 * 160 + 2_200),
        "to and from PostgreSQL": pytest.approx(6_000 + 1_000 + 2.2 * 1_500),
        "PostgreSQL's log to standbys": pytest.approx(7_000 + 1_500 + 2_200),
        "pages and taps": pytest.approx(0.1 * 30_000),
        "calls to providers": pytest.approx(0.8 * 1_200),
    }


def test_a_hop_is_told_for_the_busiest_second_and_for_the_year() -> None:
    network = Network(Capacity(YEAR, PLAIN))
    calls = network.hops[-1]
    assert network.a_second(calls) == pytest.approx(2 * 960)
    assert network.a_year(calls) == pytest.approx(365 * 36_000 * 960)


def test_one_copy_costs_no_replication_and_no_standby_no_log() -> None:
    alone = {hop.what: hop.bytes for hop in Network(Capacity(replace(YEAR, replicas=1, standbys=0), PLAIN)).hops}
    assert (alone["between brokers"], alone["PostgreSQL's log to standbys"]) == (0, 0)


def test_cores_are_those_of_processes_databases_and_brokers() -> None:
    assert Cost(Capacity(YEAR, PLAIN), Prices()).cores == 2 + 2 + 2 + 2 + 3
    # 2,000 deliveries a second: 2 cores of PostgreSQL and 1 of Kafka, each planned at half
    assert Cost(Capacity(LARGE, PLAIN), Prices()).cores == 80 + 4 + 9 + 2 * 4 + 3 * 2


def test_a_year_costs_its_quantities_at_the_prices_that_are_given() -> None:
    capacity = Capacity(YEAR, PLAIN)
    found = {i.what: i for i in Cost(capacity, Prices(core_hour=0.1, gb_month=0.2, tb=10, message=0.05)).items}
    assert found["core-hours"].quantity == 11 * 8_760
    assert found["core-hours"].cost == pytest.approx(9_636)
    disk = 2 * (13_140_000 * 2_830 + 475_200_000) + 3 * 36_000 * 810_300
    assert found["GB-months"].quantity == pytest.approx(disk / 1e9 * 12)
    assert found["messages"].quantity == pytest.approx(13_140_000 * 0.8)
    assert found["messages"].cost == pytest.approx(525_600)
    a_delivery = 5_110 + 10_220 + 6_930 + 10_300 + 10_700 + 3_000 + 960
    assert found["TB transferred"].quantity == pytest.approx(13_140_000 * a_delivery / 1e12)


def test_without_a_price_the_quantity_is_told_and_no_cost() -> None:
    cost = Cost(Capacity(YEAR, PLAIN), Prices(message=0.05))
    assert cost_rows(cost)[0] == ("core-hours", "96,360", "", "")
    assert cost_rows(cost)[3] == ("messages", "10,512,000", "0.05", "525,600")
    assert cost.total == pytest.approx(525_600)


def test_machines_get_plain_numbers() -> None:
    told = as_dict(Cost(Capacity(YEAR, PLAIN), Prices(message=0.05)))
    assert told["figures"]["deliveries a second, busiest hour"] == pytest.approx(2)
    assert told["network"]["calls to providers"]["bytes_a_second"] == pytest.approx(1_920)
    assert told["cost"]["items"]["messages"] == {
        "quantity": pytest.approx(10_512_000),
        "price": 0.05,
        "cost": pytest.approx(525_600),
    }


@pytest.mark.parametrize(
    ("value", "told"), [(999, "1.0 kB"), (1.25e6, "1.2 MB"), (2e9, "2.0 GB"), (5.3e12, "5.3 TB"), (1e15, "1.0 PB")]
)
def test_bytes_are_told_in_the_largest_unit_that_fits(value: float, told: str) -> None:
    assert size(value) == told


def test_no_measured_value_is_left_out_of_the_arithmetic() -> None:
    """Each one moves a figure, so none can be wrong without one of the figures being wrong."""
    plain = Cost(Capacity(LARGE, PLAIN), Prices())
    idle = set()
    for field in fields(Measured):
        more = replace(PLAIN, **{field.name: getattr(PLAIN, field.name) * 10})
        if as_dict(Cost(Capacity(LARGE, more), Prices())) == as_dict(plain):
            idle.add(field.name)
    assert idle == {"count_wal_large"}  # told beside the one of small batches, which is planned with


def test_the_command_tells_figures_hops_and_the_cost_at_the_prices_given() -> None:
    told = CliRunner().invoke(app, ["capacity", "--deliveries", "1e9", "--message", "0.04"]).output
    lines = [" ".join(line.split()) for line in told.splitlines()]
    assert "deliveries a second, busiest hour 228" in lines
    assert "messages 1,480,000,000 0.04 59,200,000" in lines
    assert "together 59,200,000" in lines
    assert any(line.startswith("between brokers ") for line in lines)


def test_without_prices_the_command_tells_no_sum() -> None:
    told = CliRunner().invoke(app, ["capacity"]).output
    assert "messages" in told
    assert "together" not in told


def test_the_command_tells_json_in_plain_numbers() -> None:
    told = json.loads(CliRunner().invoke(app, ["capacity", "--replicas", "1", "--json"]).output)
    assert told["figures"]["answers a second"] == pytest.approx(41.1, abs=0.05)
    assert told["network"]["between brokers"] == {"bytes_a_second": 0, "bytes_a_year": 0}
    assert told["cost"]["total"] == 0
