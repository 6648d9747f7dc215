"""Case numbers survive being read out: what is mistyped is no number."""

from hypothesis import given
from hypothesis import strategies as st

from services.survey.cases.number import number_of, serial_of

SERIALS = st.integers(1, 40_000_000)


def test_numbers_look_like_this() -> None:
    numbers = {
        1: "K-NJSF-P",
        2: "K-C4KV-G",
        923_520: "K-CG8L-6",
        923_521: "K-22222-2",
        29_552_671: "K-ZCG8L-N",
        29_552_672: "K-222222-2",
    }
    assert {n: number_of(n) for n in numbers} == numbers


@given(SERIALS)
def test_a_number_leads_back_to_its_case_however_it_is_written(serial: int) -> None:
    number = number_of(serial)
    assert serial_of(number) == serial
    assert serial_of(f" {number.lower().replace('-', '')} ") == serial


@given(SERIALS, st.data())
def test_one_wrong_character_or_two_swapped_make_it_no_number(serial: int, data: st.DataObject) -> None:
    number = number_of(serial)
    places = [n for n in range(2, len(number)) if number[n] != "-"]
    place = data.draw(st.sampled_from(places))
    other = data.draw(st.sampled_from("23456789ABCDEFGHJKLMNPQRSTVWXYZ").filter(lambda c: c != number[place]))
    assert serial_of(number[:place] + other + number[place + 1 :]) is None
    for first in places[:-2]:
        swapped = number[:first] + number[first + 1] + number[first] + number[first + 2 :]
        assert swapped == number or serial_of(swapped) is None


def test_what_is_no_number_leads_nowhere() -> None:
    assert [serial_of(t) for t in ("", "K", "K-2222-3", "K-0O1I-2", "' or 1=1--", "K-22222222222-2")] == [None] * 6
