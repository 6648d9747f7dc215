import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.tracing import child_of, new_traceparent

FORM = r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_child_keeps_the_trace_and_the_flags_and_gets_a_span_of_its_own() -> None:
    child = child_of(PARENT)
    assert child.startswith("00-4bf92f3577b34da6a3ce929d0e0e4736-")
    assert child.endswith("-01")
    assert len(child) == 55
    assert child[36:52] != "00f067aa0ba902b7"
    assert child_of(PARENT.removesuffix("1") + "0").endswith("-00")


@pytest.mark.parametrize(
    "broken",
    [
        None,
        "",
        "nonsense",
        PARENT + "\n",
        PARENT.upper(),
        PARENT + "-more",
        "ff" + PARENT[2:],
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        PARENT + "\r\nx: y",
    ],
)
def test_a_broken_context_starts_a_new_trace(broken: str | None) -> None:
    child = child_of(broken)
    assert len(child) == 55
    assert "4bf92f3577b34da6" not in child
    assert child == child.strip()


@given(st.text())
def test_a_child_is_well_formed_whatever_came_in(text: str) -> None:
    import re

    assert re.fullmatch(FORM, child_of(text))


def test_new_contexts_differ_and_are_sampled() -> None:
    assert new_traceparent() != new_traceparent()
    assert new_traceparent().endswith("-01")
