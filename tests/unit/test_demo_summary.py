"""What a run of the demo says at its end."""

from services.cli.demo import _summary
from services.demo.report import Report


def test_each_reason_of_not_asking_is_told_with_its_code_and_in_words() -> None:
    run = Report(
        published=9,
        records=10,
        delivered=9,
        asked=5,
        suppressed={"not_sampled": 3, "of_tomorrow": 1},
        pending=0,
        failed=0,
        opened=4,
        answered=3,
        stopped=0,
        counted=3,
        lost=0,
        double=0,
        differing_cells=0,
        seconds=2.5,
        retries={},
    )
    assert _summary(run) == [
        "9 delivered = 5 asked + 4 not asked + 0 waiting + 0 failed",
        "not asked:",
        "  3 not_sampled: Sampled out",
        "  1 of_tomorrow: of_tomorrow",
        "4 opened, 3 answered, 3 counted in 2.5 s",
        "0 lost, 0 double, 0 cells off",
    ]
