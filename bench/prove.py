"""The promise table: run the proof of each promise, print what was seen and how sure that makes us.

    python -m bench.prove                        short and long forms (an hour of processor time)
    python -m bench.prove --short                the forms that `make test` runs (minutes)
    python -m bench.prove --rows 2 3             some rows
    python -m bench.prove --rows 7 --seeds 20-39 more of the long form, with seeds of one's own
    python -m bench.prove --show                 the table as it stands, nothing run

What was run before is kept in bench/results/prove.json, test by test and seed by seed, with its commit, and
counts; the same test with the same seed takes the place of what it said before. ``--anew`` forgets the rows.

A proof that saw no failure in N trials bounds the rate of failures below 3/N with 95 % confidence (the rule
of three). Trials are what a test reports (``record_property("trials", n)``), else each passed test is one.
A positive control (``record_property("control", what)``) runs the same check on a program with one guard
taken out, and passes when the check catches it.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tests.seeds import parsed

from bench.common import RESULTS, ROOT, commit, table, write
from bench.promises import NONE, PROMISES, Promise

Run = dict[str, object]
"""What one test came to with one seed: passed, failures, skipped, seconds, and what it told of itself."""
Runs = Mapping[str, Run]
Record = dict[str, object]
TOLD = ("control", "seed")


def prove(tests: Sequence[str], marks: str, seeds: str) -> Runs:
    """Run tests, files of tests or folders in a process of their own."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-m", marks, "-o", "junit_family=xunit1", f"--junitxml={report}"]
        subprocess.run(
            [sys.executable, "-m", "pytest", *(str(ROOT / "tests" / test) for test in tests), *options],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1", "FINGERPOST_SEEDS": seeds},
            stdout=sys.stderr,
            check=False,
        )
        return seen(ET.parse(report).getroot())


def seen(report: ET.Element) -> dict[str, Run]:
    """What a JUnit report says, by test and seed; tests without a seed are taken together by function.

    >>> list(seen(ET.fromstring('<s><testcase file="tests/a.py" name="b[1]" time="2"/></s>')))
    ['a.py::b']
    """
    runs: dict[str, Run] = {}
    for case in report.iter("testcase"):
        told = {each.get("name", ""): each.get("value", "") for each in case.iter("property")}
        whole = f"{case.get('file', '').removeprefix('tests/')}::{case.get('name', '')}"
        name = whole if told.keys() & set(TOLD) else whole.split("[")[0]
        kinds = {child.tag for child in case}
        result = "failures" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        run = runs.setdefault(name, {"passed": 0, "failures": 0, "skipped": 0, "seconds": 0.0})
        run[result] = number(run[result]) + 1
        run["seconds"] = round(float(str(run["seconds"])) + float(case.get("time", 0)), 1)
        for key, value in told.items():
            if key in TOLD:
                run[key] = value
            elif result == "passed":
                run[key] = number(run.get(key, 0)) + int(value)
    return runs


def number(value: object) -> int:
    """A count that came out of JSON."""
    return int(str(value))


def record(promise: Promise, runs: Runs) -> Record:
    """A row of the table: its runs and what they come to. Controls are no trials; where tests say how often
    they tried, those that say nothing count nothing.
    """
    tries = [run for run in runs.values() if "control" not in run]
    stated = sum(number(run.get(promise.counts, 0)) for run in tries)
    tried = stated or sum(number(run["passed"]) for run in tries)
    failures = sum(number(run["failures"]) for run in runs.values())
    same = sum(number(run.get("same", 0)) for run in tries)
    said = promise.seen.format(tried=tried, trials=promise.trials, same=same) if tried else "not tried"
    return {
        "row": promise.number,
        "promise": promise.words,
        "trials": promise.trials,
        "seen": f"BROKEN in {failures} tests" if failures else said,
        "tried": tried,
        "failures": failures,
        "skipped": sum(number(run["skipped"]) for run in runs.values()),
        "bound_95": None if failures or promise.seen != NONE or tried <= 3 else 3 / tried,
        "controls_caught": [run["control"] for run in runs.values() if "control" in run and run["passed"]],
        "seeds": sorted({number(run["seed"]) for run in tries if "seed" in run}),
        "commits": list(dict.fromkeys(str(run["commit"]) for run in runs.values())),
        "runs": dict(runs),
    }


def limit(row: Mapping[str, object]) -> str:
    """The 95 % bound, as docs/reliability.md says it.

    >>> limit({"bound_95": 3 / 1200})
    '< 0.25 %'
    """
    bound = row["bound_95"]
    return "–" if bound is None else f"< {100 * float(str(bound)):.2g} %"


def before() -> dict[int, Record]:
    """The rows of earlier runs."""
    path = RESULTS / "prove.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    return {row["row"]: row for row in rows if "runs" in row}


def belongs(name: str, promise: Promise) -> bool:
    """Whether a run is of one of the promise's tests.

    >>> belongs("crash/test_kill.py::test_thirty_kills", Promise(2, "", "", ("crash/test_kill.py",)))
    True
    """
    return any(
        name == test or name.startswith((f"{test}::", f"{test}[", f"{test}/")) for test in promise.tests
    )


def keep(promise: Promise, found: Runs, forgotten: set[int]) -> None:
    """Add runs to the row of a promise, in the file as it is now: others may write it too. What a row that is
    to be ``forgotten`` had goes, once.
    """
    if not found:
        return
    lock = os.open(RESULTS, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        rows = before()
        held = {} if promise.number in forgotten else rows.get(promise.number, {}).get("runs", {})
        rows[promise.number] = record(promise, {**held, **found})  # type: ignore[dict-item]
        forgotten.discard(promise.number)
        write("prove", {"rows": [rows[each] for each in sorted(rows)]})
    finally:
        os.close(lock)


def shown(rows: Iterable[Mapping[str, object]]) -> str:
    """The promise table."""
    lines = []
    for row in rows:
        skipped = f", {row['skipped']} skipped" if row["skipped"] else ""
        controls = ", ".join(map(str, row["controls_caught"])) or "–"  # type: ignore[call-overload]
        seeds, commits = row["seeds"] or "–", ", ".join(row["commits"])  # type: ignore[arg-type]
        told = [row["row"], row["promise"], f"{row['seen']}{skipped}", limit(row), controls, spans(seeds)]  # type: ignore[arg-type]
        lines.append([*told, commits])
    return table(["row", "promise", "seen", "95 % bound", "controls caught", "seeds", "commits"], lines)


def spans(numbers: Sequence[int]) -> str:
    """Numbers in order, neighbours drawn together.

    >>> spans([1, 2, 3, 7])
    '1-3, 7'
    """
    found: list[list[int]] = []
    for each in numbers if not isinstance(numbers, str) else []:
        if found and found[-1][-1] == each - 1:
            found[-1].append(each)
        else:
            found.append([each])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in found) or "–"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prove, print, write bench/results/prove.json after each test; 1 when a promise is broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--show", action="store_true")
    parser.add_argument("--anew", action="store_true")
    parser.add_argument("--seeds", default="", help="of the long forms alone: 12-40, or 3,8-9")
    parser.add_argument("--rows", type=int, nargs="*", default=[promise.number for promise in PROMISES])
    options = parser.parse_args(arguments)
    marks = "not slow" if options.short else "slow" if options.seeds else "slow or not slow"
    chosen = [promise for promise in PROMISES if promise.number in options.rows]
    tests = [] if options.show else list(dict.fromkeys(test for promise in chosen for test in promise.tests))
    forgotten = set(options.rows if options.anew else ())
    at = commit()
    for seeds in map(str, parsed(options.seeds)) if options.seeds else [""]:
        for group in [tests] if seeds else [[test] for test in tests]:  # a seed in one go: starting costs
            found = {name: {**run, "commit": at} for name, run in prove(group, marks, seeds).items()}
            for promise in chosen:
                keep(promise, {name: run for name, run in found.items() if belongs(name, promise)}, forgotten)
    rows = before()
    print(shown(rows[each] for each in sorted(rows)))
    return int(any(row["failures"] for row in rows.values()))


if __name__ == "__main__":
    raise SystemExit(main())
