"""Killed in the middle of `fingerpost compile` and `fingerpost update`: the next run completes them.

The system kills, as abruptly as by SIGKILL, when a run has had so much processor time: whether the machine is
busy or idle, it is in the middle.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.seeds import seeds

import fingerpost
from fingerpost.errors import NotFoundError

WORDS = ["amber", "basalt", "cedar", "delta", "ember", "fjord", "granite", "harbor", "island", "jasper"]
PAGES = 60


def page(number: int, version: int) -> str:
    choice = random.Random(1_000 * number + version)
    body = " ".join(choice.choices(WORDS, k=30))
    return f"# Page {number}\n\nCode E{number:04d} of version v{version}.\n\n## More\n\n{body}.\n"


def write(folder: Path, versions: dict[int, int]) -> None:
    """Make the folder hold exactly these versions of pages, and not touch what is as it should be."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if int(path.stem) not in versions:
            path.unlink()
    for number, version in versions.items():
        path, text = folder / f"{number}.md", page(number, version)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            os.utime(path, (1_700_000_000 + version, 1_700_000_000 + version))


VICTIM = """
import signal, sys, time
signal.setitimer(signal.ITIMER_PROF, float(sys.argv[1]))  # nobody handles SIGPROF
from fingerpost.cli.app import run
status = run(sys.argv[2:])
print(time.process_time())
sys.exit(status)
"""


def start(verb: str, folder: Path, kb: Path, seconds: float = 0.0) -> subprocess.CompletedProcess[str]:
    """The whole command line in a process of its own, which dies when it has had ``seconds``; 0 is never."""
    where = ["--to" if verb == "compile" else "--at", str(kb)]
    return subprocess.run(
        [sys.executable, "-c", VICTIM, str(seconds), verb, str(folder), *where],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def finish(verb: str, folder: Path, kb: Path) -> float:
    """Run to the end; returns the seconds of processor time that it took."""
    done = start(verb, folder, kb)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.split()[-1])


def kill(verb: str, folder: Path, kb: Path, seconds: float) -> bool:
    """Run, and kill after ``seconds`` of processor time; whether it was still running then."""
    done = start(verb, folder, kb, seconds)
    assert done.returncode in (0, -signal.SIGPROF), done.stderr
    return done.returncode != 0


def versions(kb: Path) -> dict[int, int]:
    """What an index holds, each document checked to be whole; nothing where there is none yet."""
    try:
        index = fingerpost.open(kb)
    except NotFoundError:
        return {}
    with index:
        snapshot = index._rooms.store.snapshot()
        found = {}
        for document in snapshot.documents(set(snapshot.doc_keys(snapshot.keys()).tolist())):
            number = int(Path(document.doc_id).stem)
            found[number] = int(document.text.split(" of version v")[1].split(".")[0])
            assert document.text.strip() == page(number, found[number]).strip()
        return found


def content(kb: Path) -> list[tuple[str, str, bytes]]:
    """Every chunk with its text and vector, by id."""
    with fingerpost.open(kb) as index:
        assert index.doctor() == []
        snapshot = index._rooms.store.snapshot()
        assert snapshot.n_missing == 0
        keys = snapshot.keys()
        rows = zip(snapshot.chunks(keys), snapshot.vectors(keys).astype(np.float16), strict=True)
        return sorted((chunk.chunk_id, chunk.text, vector.tobytes()) for chunk, vector in rows)


def campaign(tmp_path: Path, *, kills: int, seed: int) -> int:
    """Kill compiles, then updates; returns how many runs were really killed."""
    choice, killed = random.Random(seed), 0
    folder, kb = tmp_path / "pages", tmp_path / "kb"
    state = dict.fromkeys(range(PAGES), 0)
    write(folder, state)
    whole = finish("compile", folder, tmp_path / "whole")
    kept: dict[int, int] = {}
    for _ in range(kills):
        killed += kill("compile", folder, kb, choice.uniform(0.3, 0.95) * whole)
        now = versions(kb)
        assert kept.items() <= now.items(), "a document that was there is lost"
        kept = now
    finish("compile", folder, kb)
    assert content(kb) == content(tmp_path / "whole")
    for number in range(kills):
        old = versions(kb)
        gone = choice.sample(sorted(state), 5)
        changed = choice.sample(sorted(set(state) - set(gone)), 20)
        state = {n: number + 1 if n in changed else v for n, v in state.items() if n not in gone}
        state |= dict.fromkeys(range(PAGES + 5 * number, PAGES + 5 * number + 5), 0)
        write(folder, state)
        killed += kill("update", folder, kb, choice.uniform(0.3, 0.9) * whole)
        now = versions(kb)
        for each in {*now, *old, *state}:
            assert now.get(each) in (old.get(each), state.get(each)), "neither the old nor the new version"
        if number % 3 == 2 or number == kills - 1:
            finish("update", folder, kb)
            assert versions(kb) == state
    fingerpost.compile(folder, to=tmp_path / "again").close()
    assert content(kb) == content(tmp_path / "again")
    return killed


def test_a_handful_of_kills(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    killed = campaign(tmp_path, kills=3, seed=1)
    record_property("trials", killed)
    assert killed >= 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(2, 7))
def test_a_hundred_kills(tmp_path: Path, seed: int, record_property: Callable[[str, object], None]) -> None:
    record_property("seed", seed)
    record_property("trials", campaign(tmp_path, kills=10, seed=seed))
