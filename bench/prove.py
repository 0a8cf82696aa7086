"""The promise table: run the proof of each promise, print what was seen and how sure that makes us.

    python -m bench.prove            the long forms (an hour and more on two cores)
    python -m bench.prove --short    the forms that `make test` runs (minutes)
    python -m bench.prove --rows 2 3

A proof that saw no failure in N trials bounds the rate of failures below 3/N with 95 % confidence (the rule
of three). Trials are what a test reports (``record_property("trials", n)``), else each passed test is one.
A positive control (``record_property("control", what)``) runs the same check on a program with one guard
taken out, and passes when the check catches it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.common import RESULTS, ROOT, commit, table, write


@dataclass(frozen=True)
class Promise:
    """A promise, what counts as a trial, and the tests that try to break it."""

    number: int
    words: str
    trial: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """What one proof came to."""

    passed: int
    failed: int
    skipped: int
    trials: int
    seconds: float
    controls: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()


def _gone(kind: str) -> tuple[str, ...]:
    """The campaign of one kind of change, short and long."""
    mix = {"delete": 0, "relabel": 1}[kind]
    return (
        f"crash/test_gone.py::test_gone_at_once[{kind}-mix{mix}]",
        f"crash/test_gone.py::test_gone_at_once_for_long[{kind}-mix{mix}-2]",
    )


PROMISES = (
    Promise(
        1, "strict isolation tells nothing of hidden documents", "request", ("security/test_two_worlds.py",)
    ),
    Promise(
        2,
        "an acknowledged write is never lost",
        "kill -9",
        ("crash/test_kill.py", "crash/test_failpoints.py", "crash/test_compile.py"),
    ),
    Promise(3, "a damaged file never gives a wrong answer", "damage", ("crash/test_corruption.py",)),
    Promise(
        4,
        "deleted is gone at once, everywhere",
        "delete",
        (*_gone("delete"), "crash/test_gone.py::test_a_missing_guard_is_caught[tombstones_not_applied]"),
    ),
    Promise(
        5,
        "every citation exists and is verbatim",
        "test",
        ("security/test_citations.py", "ground/test_verify.py"),
    ),
    Promise(6, "one generation per answer", "look", ("crash/test_races.py",)),
    Promise(7, "power loss keeps acknowledged data", "disk", ("crash/test_power_loss.py",)),
    Promise(8, "masked text cannot be got back", "test", ("properties/test_masking.py",)),
    Promise(
        9,
        "revoked access ends at once",
        "change of labels",
        (
            *_gone("relabel"),
            "crash/test_gone.py::test_a_missing_guard_is_caught[permissions_remembered_across_changes]",
        ),
    ),
    Promise(12, "a bad file never stops the batch", "input", ("security/test_hostile_files.py", "compiler")),
    Promise(13, "on a full disk reads and deletes go on", "full disk", ("crash/test_disk.py",)),
    Promise(14, "router and index are of one epoch", "kill -9 at a place", ("crash/test_failpoints.py",)),
    Promise(
        16,
        "no memory of one caller answers another",
        "answer",
        (
            "crash/test_gone.py::test_nobody_is_answered_from_what_another_asked",
            "crash/test_gone.py::test_nobody_is_answered_from_what_another_asked_for_long",
            "crash/test_gone.py::test_a_missing_guard_is_caught[permissions_remembered_for_all_users]",
        ),
    ),
    Promise(17, "no code runs from model files", "input", ("models/test_hostile_models.py",)),
    Promise(19, "no query exhausts the machine", "input", ("security/test_hostile_queries.py",)),
    Promise(
        20,
        "processes cannot spoil a store for each other",
        "look",
        (
            "crash/test_races.py::test_many_readers_beside_a_writer",
            "crash/test_kill.py::test_a_killed_writers_lock_is_taken_over_and_a_living_ones_is_not",
        ),
    ),
    Promise(23, "memory, handles and disk stay flat", "round", ("crash/test_soak.py",)),
    Promise(
        27,
        "a history of updates equals an index made anew",
        "query",
        ("index/test_updates.py",),
    ),
)


def prove(promise: Promise, *, short: bool) -> Seen:
    """Run the tests of a promise in a process of their own."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        tests = [str(ROOT / "tests" / name) for name in promise.tests]
        marks = ["-m", "not slow" if short else "slow or not slow"]
        began = time.perf_counter()
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                *tests,
                *marks,
                "-o",
                "junit_family=xunit1",
                f"--junitxml={report}",
            ],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=sys.stderr,
            check=False,
        )
        return seen(ET.parse(report).getroot(), time.perf_counter() - began)


def seen(report: ET.Element, seconds: float) -> Seen:
    """Count what a JUnit report says; controls are no trials.

    >>> seen(ET.fromstring('<s><testcase/><testcase><failure/></testcase></s>'), 1.0)
    Seen(passed=1, failed=1, skipped=0, trials=1, seconds=1.0, controls=(), seeds=())
    """
    cases = list(report.iter("testcase"))
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    passed = [case for case in cases if case not in failed and case not in skipped]
    caught = [control for case in passed for control in told(case, "control")]
    tries = [case for case in passed if not told(case, "control")]
    stated = sum(int(each) for case in tries for each in told(case, "trials"))
    seeds = tuple(sorted({int(seed) for case in cases for seed in told(case, "seed")}))
    return Seen(len(passed), len(failed), len(skipped), stated or len(tries), seconds, tuple(caught), seeds)


def told(case: ET.Element, name: str) -> list[str]:
    """What a test said of itself under ``name``."""
    return [each.get("value", "") for each in case.iter("property") if each.get("name") == name]


def bound(found: Seen) -> float | None:
    """Below which the rate of failures lies with 95 % confidence; None where too little was tried."""
    return None if found.failed or found.trials <= 3 else 3 / found.trials


def row(promise: Promise, found: Seen) -> list[object]:
    """A line of the table."""
    if found.failed:
        verdict = f"BROKEN in {found.failed} tests"
    elif not found.trials:
        verdict = "not tried"
    else:
        verdict = f"0 failures in {found.trials:,} × {promise.trial}"
    skipped = f", {found.skipped} skipped" if found.skipped else ""
    below = bound(found)
    limit = "–" if below is None else f"< {below:.2g}"
    controls = ", ".join(found.controls) or "–"
    return [promise.number, promise.words, verdict + skipped, limit, controls, f"{found.seconds:.0f} s"]


def before() -> list[dict[str, object]]:
    """The rows of earlier runs, each with its commit: a run of some rows leaves the others alone."""
    path = RESULTS / "prove.json"
    return list(json.loads(path.read_text())["rows"]) if path.exists() else []


def record(promise: Promise, found: Seen, *, form: str) -> dict[str, object]:
    """The same for a program."""
    return {
        "row": promise.number,
        "form": form,
        "commit": commit(),
        "promise": promise.words,
        "trial": promise.trial,
        "tried": found.trials,
        "failures": found.failed,
        "skipped": found.skipped,
        "bound_95": bound(found),
        "controls_caught": list(found.controls),
        "seeds": list(found.seeds),
        "seconds": round(found.seconds, 1),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Prove, print, write bench/results/prove.json; 1 when a promise is broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--rows", type=int, nargs="*", default=[promise.number for promise in PROMISES])
    options = parser.parse_args(arguments)
    chosen = [promise for promise in PROMISES if promise.number in options.rows]
    found = [prove(promise, short=options.short) for promise in chosen]
    rows = [row(promise, each) for promise, each in zip(chosen, found, strict=True)]
    print(table(["row", "promise", "seen", "95 % bound", "positive controls caught", "took"], rows))
    form = "short" if options.short else "long"
    records = [record(promise, each, form=form) for promise, each in zip(chosen, found, strict=True)]
    proved = {each["row"] for each in records}
    kept = [each for each in before() if each["row"] not in proved]
    write("prove", {"rows": sorted([*kept, *records], key=lambda each: int(str(each["row"])))})
    return int(any(each.failed for each in found))


if __name__ == "__main__":
    raise SystemExit(main())
