"""Every bad day of the catalogue is a test, and every one that a user can notice says what is seen."""

from __future__ import annotations

import pytest

from scripts import bad_days

TESTS = bad_days.found()
SETS = bad_days.set_tests()


@pytest.mark.parametrize("case", [*bad_days.CASES, *bad_days.PROPERTIES])
def test_every_case_is_a_named_test(case: str) -> None:
    assert TESTS[case].tests, f"no test names {case}"


@pytest.mark.parametrize("case", list(bad_days.CASES))
def test_every_bad_day_says_what_the_user_sees(case: str) -> None:
    assert TESTS[case].seen, f"no docstring of {TESTS[case].tests} has a line 'Seen: ...'"


def test_no_test_names_a_case_that_nobody_knows() -> None:
    assert set(TESTS) == {*bad_days.CASES, *bad_days.PROPERTIES}


@pytest.mark.parametrize("name", list(bad_days.SETS))
def test_everything_that_must_hold_of_time_sameness_and_long_runs_is_a_named_test(name: str) -> None:
    assert SETS[name], f"no test is called test_{name}..."


def test_names_and_docstrings_are_read_as_written() -> None:
    assert bad_days.cases_of("test_r1_R3_orders_survive") == ["R1", "R3"]
    assert bad_days.cases_of("test_property_windows_are_never_exceeded") == ["windows"]
    assert bad_days.cases_of("test_orders_are_kept") == []
    assert bad_days.seen_in("What happens.\n\nSeen: one\n  order.\n\nMore.") == "one order."
