"""Keys of programs, and what may be asked for when one is made."""

import pytest

from services.chassis.failures import MustStop
from services.chassis.keys import Key, make_key, read_key
from services.survey.api.clients import Place
from services.survey.api.keys import Scope
from services.survey.api.registration import read_place, read_scopes

KIOSK = frozenset({Scope.KIOSK})
TORGET = {"carrier": "Nordposten Demo", "country": "SE", "zone": "Europe/Stockholm", "service_point": "Torget"}


def test_a_key_shows_its_prefix_and_holds_256_random_bits() -> None:
    key = make_key()
    assert key.text == f"kv_{key.prefix}_{key.secret}"
    assert (len(key.prefix), len(key.secret)) == (10, 43)
    assert read_key(key.text) == key
    assert len({make_key().text for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kv_",
        "kv_abcdefghij_",
        "KV_abcdefghij_" + "A" * 43,
        "kv_abcdefghij_" + "A" * 42 + "\n",
        "kv_abcdefghij_" + "４" * 43,
        "kv_abcdefghi_" + "A" * 43,
        " kv_abcdefghij_" + "A" * 43,
    ],
)
def test_what_cannot_be_a_key_is_none(text: str) -> None:
    assert read_key(text) is None


def test_the_stored_hash_is_sha256_of_the_secret() -> None:
    assert Key("abcdefghij", "abc").secret_sha256.hex().startswith("ba7816bf8f01cfea")


def test_a_key_is_known_by_its_stored_hash_alone() -> None:
    key = make_key()
    assert key.is_kept_as(key.secret_sha256)
    assert not key.is_kept_as(make_key().secret_sha256)
    assert not key.is_kept_as(None)


def test_a_kiosks_key_may_do_nothing_else() -> None:
    assert read_scopes(["kiosk", "kiosk"]) == KIOSK
    with pytest.raises(MustStop, match="nothing else"):
        read_scopes(["kiosk", "responses:read"])
    with pytest.raises(MustStop, match="unknown scope admin; there are kiosk, responses:read, responses:write"):
        read_scopes(["admin"])


def test_a_kiosk_has_a_place_and_no_other_program_has() -> None:
    assert read_place(KIOSK, {**TORGET, "terminal": None}) == Place(
        carrier="Nordposten Demo", country="SE", zone="Europe/Stockholm", service_point="Torget"
    )
    assert read_place(frozenset({Scope.READ}), dict.fromkeys(TORGET)) is None
    with pytest.raises(MustStop, match="only a kiosk has a service point"):
        read_place(frozenset({Scope.READ}), {"service_point": "Torget"})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"service_point": None}, "needs --terminal or --service-point"),
        ({"zone": "Europe/Nowhere"}, "--zone"),
        ({"country": "se"}, "--country"),
        ({"carrier": None}, "--carrier"),
        ({"service_point": "a\u0000b"}, "--service_point"),
    ],
)
def test_a_place_that_does_not_fit_is_refused_by_name(changed: dict[str, str | None], message: str) -> None:
    with pytest.raises(MustStop, match=message):
        read_place(KIOSK, {**TORGET, **changed})
