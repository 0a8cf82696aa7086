"""The measure that tells linear from square has to see both."""

from __future__ import annotations

import re

import pytest
from tests.growth import MOST, assert_linear, growth


def test_linear_work_passes() -> None:
    assert_linear(lambda n: sum(range(n)), 3_000_000)
    assert_linear(lambda n: "a" * n, 100)  # too little to measure is no growth


def test_square_work_fails() -> None:
    with pytest.raises(AssertionError, match="16 times the input"):
        assert_linear(lambda n: [sum(range(k)) for k in range(n)], 2_000)


def test_a_pattern_that_tries_every_start_fails() -> None:
    assert growth(lambda n: re.search("a+b", "a" * n), 8_000) > MOST
