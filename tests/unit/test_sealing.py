import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from services.chassis.failures import MustStop, Poison
from services.chassis.sealing import Seal

SEAL = Seal.from_setting(SecretStr("5e" * 32))
OTHER = Seal.from_setting(SecretStr("5f" * 32))


@given(text=st.text(), row=st.text())
def test_a_sealed_text_opens_again_for_its_row(text: str, row: str) -> None:
    assert SEAL.open(SEAL.close(text, row), row) == text


def test_the_same_text_is_sealed_differently_each_time_and_not_readable() -> None:
    first, second = SEAL.close("+46701740605", "row"), SEAL.close("+46701740605", "row")
    assert first != second
    assert b"4670" not in first
    assert len(first) == 12 + 12 + 16


def test_a_text_moved_to_another_row_does_not_open() -> None:
    with pytest.raises(Poison, match="unsealable"):
        SEAL.open(SEAL.close("maja@example.se", "invitation 1"), "invitation 2")


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(Poison, match="unsealable"):
        OTHER.open(SEAL.close("maja@example.se", "row"), "row")


@given(data=st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    sealed = bytearray(SEAL.close("maja@example.se", "row"))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Poison) as poison:
        SEAL.open(bytes(sealed), "row")
    assert poison.value.reason == "unsealable"
    assert "maja" not in str(poison.value)


@given(length=st.integers(0, 42))
def test_a_text_cut_short_is_poison_like_any_other_damage(length: int) -> None:
    with pytest.raises(Poison, match="unsealable"):
        SEAL.open(SEAL.close("maja@example.se", "row")[:length], "row")


@pytest.mark.parametrize("key", ["", "5e" * 31, "5e" * 33, "5e " * 32, "zz" * 32, "5e" * 31 + "5", "CANARY"])
def test_a_wrong_key_stops_the_start_and_is_not_shown(key: str) -> None:
    with pytest.raises(MustStop) as stopped:
        Seal.from_setting(SecretStr(key))
    assert str(stopped.value) == (
        "wrong setting KVITTERA_SEALING_KEY: give 64 hex digits, for instance from `openssl rand -hex 32`"
    )


def test_a_pseudonym_is_stable_depends_on_the_key_and_does_not_hold_the_text() -> None:
    assert SEAL.pseudonym("+46701740605") == SEAL.pseudonym("+46701740605")
    assert len(SEAL.pseudonym("+46701740605")) == 16
    assert SEAL.pseudonym("+46701740605") != SEAL.pseudonym("+46701740606")
    assert SEAL.pseudonym("+46701740605") != OTHER.pseudonym("+46701740605")


def test_an_older_key_opens_what_it_sealed_and_keeps_the_pseudonyms_and_the_newest_seals() -> None:
    changed = Seal.from_setting(SecretStr("60" * 32), SecretStr("5f" * 32 + ", " + "5e" * 32))
    assert changed.open(SEAL.close("maja@example.se", "row"), "row") == "maja@example.se"
    assert changed.pseudonym("+46701740605") == SEAL.pseudonym("+46701740605")
    newest = Seal.from_setting(SecretStr("60" * 32))
    assert newest.open(changed.close("maja@example.se", "row"), "row") == "maja@example.se"
    assert len({SEAL.key_id, OTHER.key_id, newest.key_id}) == 3
    assert changed.key_id == newest.key_id


def test_a_wrong_older_key_stops_the_start_by_its_own_name() -> None:
    with pytest.raises(MustStop, match="KVITTERA_SEALING_KEYS_BEFORE"):
        Seal.from_setting(SecretStr("60" * 32), SecretStr("5f" * 32 + ",CANARY"))
