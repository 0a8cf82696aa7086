"""A model that failed rests: longer each time, never for ever, one caller trying at its end."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import pytest

from fingerpost.errors import ModelError
from fingerpost.models.rest import FIRST_SECONDS, LONGEST_SECONDS, Rest, seconds


class Watch:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def late() -> str:
    raise ModelError("E_TIMEOUT", "late", cure="wait")


def outcome(rest: Rest, ask=late) -> str:
    try:
        return rest.call(ask)
    except Exception as error:
        return error.code if isinstance(error, ModelError) else type(error).__name__


def test_each_failure_in_a_row_doubles_the_rest_up_to_the_longest() -> None:
    watch = Watch()
    rest, rested = Rest(watch), []
    for _ in range(10):
        assert outcome(rest) == "E_TIMEOUT"
        began = watch.now
        while outcome(rest, lambda: "asked") == "E_RESTS":
            watch.now += 1.0
            if watch.now - began >= seconds(len(rested) + 1):
                break
        rested.append(watch.now - began)
    assert rested[:4] == [FIRST_SECONDS, 2 * FIRST_SECONDS, 4 * FIRST_SECONDS, 8 * FIRST_SECONDS]
    assert rested[-1] == LONGEST_SECONDS


def test_a_success_ends_it_and_the_next_failure_counts_as_the_first() -> None:
    watch = Watch()
    rest = Rest(watch)
    assert [outcome(rest), outcome(rest)] == ["E_TIMEOUT", "E_RESTS"]
    watch.now += FIRST_SECONDS
    assert outcome(rest, lambda: "well") == "well"
    assert outcome(rest, lambda: "well") == "well"
    assert outcome(rest) == "E_TIMEOUT"
    watch.now += FIRST_SECONDS
    assert outcome(rest, lambda: "well") == "well"


def test_the_reason_is_said_in_numbers() -> None:
    watch = Watch()
    rest = Rest(watch)
    outcome(rest)
    watch.now += FIRST_SECONDS
    outcome(rest)
    with pytest.raises(ModelError, match="E_TIMEOUT at the last 2 calls, asked again in 10 s") as found:
        rest.call(late)
    assert found.value.code == "E_RESTS"


@pytest.mark.parametrize("error", [ZeroDivisionError, OSError, ValueError])
def test_any_failure_counts(error: type[Exception]) -> None:
    rest = Rest(Watch())

    def fails() -> str:
        raise error

    assert [outcome(rest, fails), outcome(rest, fails)] == [error.__name__, "E_RESTS"]


def test_what_is_too_big_for_it_is_not_its_failure() -> None:
    rest = Rest(Watch())

    def full() -> str:
        raise ModelError("E_TOO_BIG", "more than it holds", cure="less")

    assert [outcome(rest, full), outcome(rest, full)] == ["E_TOO_BIG", "E_TOO_BIG"]


def test_one_that_gave_up_waiting_is_no_failure() -> None:
    rest = Rest(Watch())

    def stopped() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rest.call(stopped)
    assert outcome(rest, lambda: "well") == "well"


def test_failures_at_the_same_time_are_one() -> None:
    watch, together = Watch(), Barrier(8)
    rest = Rest(watch)

    def fails() -> str:
        together.wait()
        return late()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: outcome(rest, fails), range(8))) == {"E_TIMEOUT"}
    watch.now += FIRST_SECONDS - 0.1
    assert outcome(rest) == "E_RESTS"
    watch.now += 0.2
    assert outcome(rest, lambda: "well") == "well"


def test_one_tries_when_the_rest_is_over_and_the_others_do_not_wait_for_it() -> None:
    watch, asked, answered = Watch(), Event(), Event()
    rest = Rest(watch)
    outcome(rest)
    watch.now += FIRST_SECONDS

    def tries() -> str:
        asked.set()
        assert answered.wait(300)
        return "well"

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(outcome, rest, tries)
        assert asked.wait(300)
        assert [outcome(rest) for _ in range(8)] == ["E_RESTS"] * 8
        answered.set()
        assert first.result() == "well"
    assert outcome(rest, lambda: "well") == "well"


def test_one_that_never_comes_back_from_its_trial_holds_nobody_for_ever() -> None:
    watch = Watch()
    rest = Rest(watch)
    outcome(rest)
    watch.now += FIRST_SECONDS

    def stopped() -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rest.call(stopped)
    assert outcome(rest) == "E_RESTS"
    watch.now += FIRST_SECONDS
    assert outcome(rest, lambda: "well") == "well"
