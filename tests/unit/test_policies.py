"""Policies are files: each version holds from its own moment on, and a wrong file is named with its line."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from services.chassis.failures import MustStop
from services.notifier.policies import SECTIONS, parse_policies, read_policies
from services.notifier.policy.sections import MerchantAsk
from tests.builders import NOON

BEGINS = "effective_from = 2026-01-01T00:00:00Z\n"


def test_every_section_comes_with_a_version_that_holds_from_the_beginning() -> None:
    ids = read_policies(None).at(datetime.fromisoformat("1970-01-01T00:00:00Z")).ids
    assert ids == tuple(sorted(f"default:{name}.v1" for name in SECTIONS))


@pytest.mark.parametrize(
    ("country", "needs"),
    [
        ("DE", ("consent", "soft_opt_in_notice")),
        ("DK", ()),
        ("SE", ()),
        ("NO", ()),
        ("FI", ()),
        ("FR", ("consent", "soft_opt_in_notice")),  # not named: the stated default
    ],
)
def test_the_gate_of_each_country_is_as_the_table_says_and_names_its_source(
    country: str, needs: tuple[str, ...]
) -> None:
    rule = read_policies(None).at(NOON).countries.of(country)
    assert rule.needs == needs
    assert len(rule.source) > 10


def test_nothing_leaves_at_night_unless_an_installation_says_so() -> None:
    rule = read_policies(None).at(NOON).hours.of("SE")
    assert (f"{rule.quiet_from:%H:%M}", f"{rule.quiet_until:%H:%M}") == ("21:00", "08:00")


def test_the_version_that_began_last_holds_and_the_one_that_comes_with_the_service_until_then(tmp_path: Path) -> None:
    for version, begins in ((1, NOON), (2, NOON + timedelta(days=2)), (10, NOON + timedelta(days=1))):
        text = f'effective_from = {begins.isoformat()}\n[merchant.m{version}]\nask = "deny"\n'
        (tmp_path / f"merchants.v{version}.toml").write_text(text, encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not a policy", encoding="utf-8")
    book = read_policies(tmp_path)
    assert book.at(NOON - timedelta(seconds=1)).merchants.merchant == {}
    held = [book.at(NOON + timedelta(days=n)) for n in range(3)]
    assert [list(p.merchants.merchant) for p in held] == [["m1"], ["m10"], ["m2"]]
    assert held[1].merchants.of("m10").ask is MerchantAsk.DENY
    assert "merchants.v10" in held[1].ids
    assert "default:hours.v1" in held[1].ids
    assert book.at(NOON) is book.at(NOON + timedelta(hours=1))


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("merchants.v1.toml", BEGINS + "[default]\nask = 'allow'\n\n[merchant.glod]\nask = 'maybe'\n",
         "merchants.v1.toml:6: merchant.glod.ask: "),
        ("merchants.v1.toml", BEGINS + "[merchant.glod]\nshare = 0.5\n",
         "merchants.v1.toml:3: merchant.glod.share: Extra inputs"),
        ("countries.v3.toml", BEGINS + "\n[country.DE]\nneeds = ['consent', 'hope']\n",
         "countries.v3.toml:4: country.DE.needs.1: "),
        ("countries.v3.toml", BEGINS + "\n[country.Germany]\nneeds = []\n", "countries.v3.toml:3: country.Germany"),
        ("contact.v1.toml", BEGINS + "[carrier]\nmost = 3\n", "contact.v1.toml:2: carrier.days: Field required"),
        ("hours.v1.toml", BEGINS + "[default]\nquiet_from = '25:00'\nquiet_until = '08:00'\n",
         "hours.v1.toml:3: default.quiet_from: Value error, write a time of day like 21:00"),
        ("sampling.v1.toml", BEGINS + "rate = 1.5\n", "sampling.v1.toml:2: rate: "),
        ("sampling.v1.toml", BEGINS + "rate = \n", "sampling.v1.toml:2: "),
        ("sampling.v1.toml", "rate = 1.0\n", "sampling.v1.toml:1: effective_from must be a moment"),
        ("sampling.v1.toml", "rate = 1.0\neffective_from = 2026-01-01\n", "sampling.v1.toml:2: effective_from must be"),
        ("exceptions.v1.toml", BEGINS + "ask_about = ['claim_open']\n", "exceptions.v1.toml:2: ask_about: "),
        ("moods.v1.toml", BEGINS, "moods.v1.toml:1: call it <section>.v<number>.toml"),
        ("hours.toml", BEGINS, "hours.toml:1: call it"),
    ],
)  # fmt: skip
def test_a_wrong_file_stops_the_start_with_its_name_and_line(file: str, text: str, said: str) -> None:
    with pytest.raises(MustStop) as stop:
        parse_policies({file: text})
    assert str(stop.value).startswith(said), stop.value


def test_two_versions_that_begin_at_once_are_refused() -> None:
    with pytest.raises(MustStop, match=r"hours\.v2\.toml:1: effective_from is the same as in hours\.v1\.toml"):
        parse_policies({"hours.v1.toml": BEGINS, "hours.v2.toml": BEGINS})


def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(MustStop, match="KVITTERA_POLICIES_FOLDER cannot be read: FileNotFoundError"):
        read_policies(tmp_path / "gone")
    (tmp_path / "hours.v1.toml").write_bytes(b"\xff")
    with pytest.raises(MustStop, match="cannot be read: UnicodeDecodeError"):
        read_policies(tmp_path)
