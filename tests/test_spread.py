"""Side by side: the same as one after the other, and an end after an error or Ctrl-C."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from fingerpost.spread import Team, side_by_side

PATIENCE = 300.0
"""Seconds until a hanging process fails the test; no measure of speed."""


@pytest.mark.parametrize("threads", [1, 2, 7])
@pytest.mark.parametrize("many", [0, 1, 50])
def test_the_order_is_that_of_the_items(threads: int, many: int) -> None:
    assert side_by_side(lambda at: at * at, range(many), threads) == [at * at for at in range(many)]


def test_several_threads_work() -> None:
    both = threading.Barrier(2, timeout=300)
    side_by_side(lambda _: both.wait(), [1, 2], threads=2)  # one alone would wait in vain


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_ends_it(threads: int) -> None:
    done: list[int] = []

    def work(at: int) -> None:
        if at == 5:
            raise ValueError("five")
        time.sleep(0.001)
        done.append(at)

    with pytest.raises(ValueError, match="five"):
        side_by_side(work, range(10_000), threads)
    assert len(done) < 9_000  # others may go on for as long as a busy machine lets the one that failed wait


def test_a_team_does_what_it_is_given_and_drops_the_rest_when_closed() -> None:
    team, free, begun = Team(2), threading.Event(), threading.Barrier(3, timeout=300)
    told = [team.do(lambda at=at: 1 // at) for at in (1, 0)]
    assert told[0].result() == 1
    with pytest.raises(ZeroDivisionError):
        told[1].result()
    both = [team.do(lambda: (begun.wait(), free.wait(300))) for _ in range(2)]
    left: list[int] = []
    team.do(lambda: left.append(1))
    begun.wait()
    closing = threading.Thread(target=team.close)
    closing.start()
    while not team._closed:
        time.sleep(0.001)
    free.set()
    closing.join()
    assert all(each.result()[1] for each in both)
    assert not left


def test_ctrl_c_ends_it_wherever_it_comes() -> None:
    """Forty interruptions at odd moments of work that is mostly taking the next item."""
    code = """
import random, signal, threading, time, _thread
from fingerpost.spread import side_by_side
signal.signal(signal.SIGINT, signal.default_int_handler)
random.seed(0)
for _ in range(40):
    try:  # a busy machine may interrupt the timer's own start
        threading.Timer(random.uniform(0.001, 0.02), _thread.interrupt_main).start()
        while True:
            side_by_side(abs, range(64), 3)
    except KeyboardInterrupt:
        pass
print("ended")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.stdout.strip() == "ended", done.stderr


def test_ctrl_c_leaves_no_thread_at_work() -> None:
    """It came while the last one was waited for, which went on; a program that ended then was aborted."""
    code = """
import os, signal, threading, time
from fingerpost.spread import side_by_side
signal.signal(signal.SIGINT, signal.default_int_handler)
begun, ended = threading.Event(), []
def work(at):
    if threading.current_thread() is threading.main_thread():
        begun.wait()
        return
    begun.set()
    time.sleep(0.2)  # by now the other one waits
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.2)
    ended.append(at)
try:
    side_by_side(work, range(2), 2)
except KeyboardInterrupt:
    print(len(ended), "ended")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.stdout.strip() == "1 ended", done.stderr
