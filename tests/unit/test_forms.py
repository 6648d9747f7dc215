"""Further fields of the recipient's form are cleaned or refused before anything of them is kept."""

from urllib.parse import urlencode

import pytest

from services.survey.answers.preferences import Preference
from services.survey.answers.responses import Answer, Contact, Rejected
from services.survey.recipient.forms import given_follow_ups, parse_form, read_answer, read_preference

LANGUAGES = frozenset({"sv", "en"})


def posted(*pairs: tuple[str, str]) -> Answer:
    return read_answer(parse_form(urlencode(pairs).encode()), LANGUAGES)


def test_each_follow_up_question_has_its_own_field() -> None:
    assert posted(("q.ease", "5"), ("q.ideal", "10"), ("q.joy", "3"), ("q.courtesy", "")).follow_ups == {
        "ease": 5,
        "ideal": 10,
        "courtesy": None,
    }


def test_taking_follow_up_answers_back_is_no_answer_by_itself() -> None:
    with pytest.raises(Rejected, match="score: is missing"):
        posted(("q.courtesy", ""))


@pytest.mark.parametrize("value", ["0", "6", "10", "-1", "05", "5.0", "５", "five", "1e0", " 4", str(2**63)])
def test_nothing_but_the_steps_of_its_scale_answers_a_question(value: str) -> None:
    with pytest.raises(Rejected) as refused:
        posted(("q.ease", value))
    assert refused.value.field == "q.ease"
    assert given_follow_ups({"q.ease": [value], "q.ideal": ["9"]}) == {"ideal": 9}


def test_whether_somebody_would_recommend_us_is_answered_from_nought_to_ten() -> None:
    assert posted(("q.recommend", "0")).follow_ups == {"recommend": 0}
    assert posted(("q.recommend", "10")).follow_ups == {"recommend": 10}
    with pytest.raises(Rejected, match=r"q\.recommend: must be a whole number from 0 to 10"):
        posted(("q.recommend", "11"))
    assert given_follow_ups({"q.recommend": ["0"]}) == {"recommend": 0}


def test_a_question_answered_twice_is_refused() -> None:
    with pytest.raises(Rejected, match=r"q\.ease: is given more than once"):
        posted(("q.ease", "4"), ("q.ease", "4"))


@pytest.mark.parametrize(("value", "meant"), [("1", True), ("0", False), ("", None), ("true", None), ("2", None)])
def test_contesting_and_taking_it_back_are_said_with_one_and_nought(value: str, meant: bool | None) -> None:
    assert posted(("score", "4"), ("contested", value)).contested is meant


def test_contact_data_are_cleaned_and_name_the_words_that_were_agreed_to() -> None:
    answer = posted(
        ("wants_contact", "1"), ("contact_name", " Åsa\u202e \n Ek "), ("contact_address", "070\u200b-174 06 34")
    )
    assert answer.contact == Contact("Åsa Ek", "070-174 06 34", "contact.v1")


@pytest.mark.parametrize("tick", ["0", "", "yes"])
def test_contact_data_without_the_tick_are_not_even_read(tick: str) -> None:
    assert posted(("score", "1"), ("wants_contact", tick), ("contact_address", "070-174 06 34")).contact is None


def test_five_digits_are_enough_for_a_phone_number() -> None:
    answer = posted(("wants_contact", "1"), ("contact_name", ""), ("contact_address", "1 23-45"))
    assert answer.contact == Contact("", "1 23-45", "contact.v1")


@pytest.mark.parametrize(
    ("name", "address", "field"),
    [
        ("", "", "contact_address"),
        ("Åsa", "1234", "contact_address"),
        ("Åsa", "@" * 255, "contact_address"),
        ("Å" * 121, "070-174 06 34", "contact_name"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_by_the_name_of_its_field(name: str, address: str, field: str) -> None:
    with pytest.raises(Rejected) as refused:
        posted(("wants_contact", "1"), ("contact_name", name), ("contact_address", address))
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("said", "never", "most", "channel"),
    [
        (Preference("every", "any"), False, None, None),
        (Preference("quarterly", "sms"), False, 4, "sms"),
        (Preference("yearly"), False, 1, None),
        (Preference("never", "email"), True, None, "email"),
    ],
)
def test_preferences_mean_limits_and_read_back_the_same(
    said: Preference, never: bool, most: int | None, channel: str | None
) -> None:
    assert (said.never, said.most_per_year, said.only_channel) == (never, most, channel)
    again = Preference.kept(never=never, most_per_year=most, only_channel=channel)
    assert (again.frequency, again.channel) == (said.frequency, channel)


def test_a_limit_that_the_page_does_not_offer_marks_none_of_its_choices() -> None:
    assert Preference.kept(never=False, most_per_year=12, only_channel=None) == Preference(None, None)


@pytest.mark.parametrize(
    ("pairs", "field"),
    [
        ([], "frequency"),
        ([("frequency", "daily")], "frequency"),
        ([("frequency", "never"), ("frequency", "every")], "frequency"),
        ([("channel", "fax")], "channel"),
    ],
)
def test_preferences_are_among_the_ones_offered(pairs: list[tuple[str, str]], field: str) -> None:
    with pytest.raises(Rejected) as refused:
        read_preference(parse_form(urlencode(pairs).encode()))
    assert refused.value.field == field
