"""Quality gates: what is a requirement, and when it holds."""

from __future__ import annotations

import pytest

from fingerpost.cli.gates import check, parse
from fingerpost.errors import GateError, UsageError

LEGS = {"search": {"R@100": 0.9, "failure@20": 0.1}, "dense": {"R@100": 0.5, "failure@20": 0.4}}


@pytest.mark.parametrize("text", ["R@100>=0.9", "R@100 >= .9", "dense:R@100<0.6", "failure@20<=0.1"])
def test_requirements_that_hold(text: str) -> None:
    assert len(check([parse(text)], LEGS)) == 1


@pytest.mark.parametrize("text", ["R@100>0.9", "R@100>=0.91", "dense:R@100>=0.6", "failure@20<0.1"])
def test_requirements_that_do_not_hold(text: str) -> None:
    with pytest.raises(GateError, match="NOT met") as told:
        check([parse("R@100>=0.1"), parse(text)], LEGS)
    assert told.value.exit_status == 5


@pytest.mark.parametrize(
    "text", ["", "R@100", ">=0.9", "R@100=0.9", "R@100>=nan", "R@100>=x", "R@100>=0.9; rm"]
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a requirement"):
        parse(text)


def test_an_unknown_leg_is_refused() -> None:
    with pytest.raises(UsageError, match="no leg 'sparse'"):
        check([parse("sparse:R@100>=0.1")], LEGS)
