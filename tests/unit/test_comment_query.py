"""What staff look for becomes a text query, whatever they type."""

from hypothesis import given
from hypothesis import strategies as st

from services.survey.comments.languages import LANGUAGES
from services.survey.comments.query import CONFIGURATIONS, Search, can_have_hits, fact_query, facts_of
from services.survey.comments.search import wider_window


def test_every_language_that_can_be_told_has_a_configuration() -> None:
    assert set(CONFIGURATIONS) == {*LANGUAGES, None}


def test_facts_stand_in_the_index_as_lexemes() -> None:
    facts = facts_of(score=5, reasons=("courtesy",), terminal="Årsta", service_point="Hallen", language="sv")
    assert facts == ["§lsv", "§pHallen", "§pÅrsta", "§rcourtesy", "§s5", "§tÅrsta"]
    assert facts_of(score=None, reasons=(), terminal=None, service_point=None, language=None) == ["§l"]


def test_filters_of_one_kind_are_alternatives_and_kinds_must_all_hold() -> None:
    search = Search(scores=frozenset({1, 2}), reasons=frozenset({"on_time"}), terminal="Årsta")
    assert fact_query(search) == "('§s1' | '§s2') & ('§ron_time') & ('§tÅrsta')"


def test_no_filter_and_all_scores_ask_for_nothing() -> None:
    assert fact_query(Search()) == ""
    assert fact_query(Search(scores=frozenset({1, 2, 3, 4, 5}))) == ""


def test_staff_of_some_terminals_find_only_theirs() -> None:
    assert fact_query(Search(terminals=frozenset({"Årsta", "Umeå"}))) == "('§tUmeå' | '§tÅrsta')"
    assert not can_have_hits(Search(terminals=frozenset()))
    assert not can_have_hits(Search(places=()))
    assert can_have_hits(Search())


def test_quotes_and_backslashes_in_a_name_stay_inside_the_name() -> None:
    assert fact_query(Search(terminal="O'Hara\\ | x")) == "('§tO''Hara\\\\ | x')"


@given(st.text(max_size=400))
def test_words_are_one_short_line_without_quotes(text: str) -> None:
    words = Search(text=text).words
    assert len(words) <= 200
    assert not set(words) & {'"', "\n", "\x00"}


def test_what_is_fairly_frequent_is_looked_for_in_more_of_the_newest_and_what_is_rare_in_the_index() -> None:
    assert wider_window(37, 51) == 10_337  # one in 135: half as many again as 51 hits need
    assert wider_window(10, 51) == 38_250
    assert wider_window(9, 51) is None
    assert wider_window(0, 51) is None
