"""Run inside a mount namespace of its own: what a whole index does on a disk that is read-only, or full
while a fold runs beside.

``python walls.py read-only FOLDER`` is for a folder that holds ``kb``; ``… full FOLDER PLACE LEFT`` mounts a
small tmpfs, fills it up to ``LEFT`` bytes when a fold stands at a place, and gives the room back afterwards.
Ends with status 0 when everything was as promised.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import fingerpost
from fingerpost.cli.app import run
from fingerpost.errors import DiskError, FingerpostError
from fingerpost.index import Index

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.index.build.test_folding import FOLD_AFTER, SETTINGS, folding, found, write


def refused(call: Callable[[], object]) -> None:
    """Expect DiskError with a cure."""
    with pytest.raises(DiskError) as caught:
        call()
    assert caught.value.cure


def read_only(folder: Path) -> None:
    """Everything that reads works, everything that writes is refused by name."""
    kb = folder / "kb"
    (folder / "pairs.jsonl").write_text('{"query": "QX-0003", "doc_id": "3.md"}\n')
    subprocess.run(["mount", "--bind", "-o", "ro", str(kb), str(kb)], check=True)
    with fingerpost.open(kb, settings=SETTINGS) as index:
        assert found(index, 3)
        assert found(index, 70), "what a killed writer left in its log"
        assert index.document("70.md").text
        assert index.ask("What is ticket QX-0003?").trace is not None
        assert index.explain("QX-0003").children
        assert index.status()["documents"] == 11
        assert index.evaluate(folder / "pairs.jsonl").query_ids
        assert index.doctor() == []
        assert index.snapshot(folder / "copy").counts["documents"] == 11
    for call in (
        lambda: fingerpost.open(kb, write=True),
        lambda: fingerpost.compile(folder / "docs", to=kb, settings=SETTINGS),
        lambda: fingerpost.doctor(kb, repair=True),
        lambda: fingerpost.restore(folder / "copy", to=kb, replace=True),
        lambda: fingerpost.compile(folder / "docs", to=kb / "other", settings=SETTINGS),
    ):
        refused(call)
    at = ["--at", str(kb)]
    assert run(["search", "QX-0003", *at]) == run(["status", *at]) == run(["doctor", *at]) == 0
    for verb in (
        ["update", str(folder / "docs"), *at],
        ["compile", str(folder / "docs"), "--to", str(kb)],
        ["delete", "3.md", *at],
        ["learn", "--pairs", str(folder / "pairs.jsonl"), *at],
        ["rollback", *at],
        ["compact", *at],
    ):
        assert run(verb) == DiskError.exit_status, verb
    with fingerpost.open(folder / "copy", write=True, settings=SETTINGS) as index:
        assert index.update(*write(folder / "docs", range(80, 81))).counts["added"] == 1


def fill(path: Path, left: int) -> None:
    """Take what is free, but for ``left`` bytes."""
    state = os.statvfs(path.parent)
    free = state.f_bavail * state.f_frsize - left
    with path.open("ab", buffering=0) as filler:
        while free > 0:
            try:
                free -= filler.write(bytes(min(free, 65_536)))
            except OSError:
                return


def full(folder: Path, place: str, left: int) -> None:
    """The fold gives up by name, or manages; nothing is lost, deletes go on, and the next one succeeds."""
    docs, kb = folder / "docs", folder / "kb"
    write(docs, range(10))
    fingerpost.compile(docs, to=kb, settings=SETTINGS).close()
    with folding(kb, docs, place) as (index, gate):
        fill(folder / "filler", left)
        gate.open.set()
        index._rooms.beside.wait()
        failed = str(index.status()["fold"])
        assert failed == "rests" or failed.startswith("failed: E_DISK"), failed
        assert index.status()["documents"] == 10 + FOLD_AFTER
        assert all(found(index, number) for number in range(10 + FOLD_AFTER))
        index.delete("11.md")
        if failed != "rests":
            refused(lambda: index.update(docs / "12.md"))
        (folder / "filler").unlink()
        resumed(index, docs)
        print(failed)
    assert fingerpost.doctor(kb) == []


def resumed(index: Index, docs: Path) -> None:
    """There is room again: so much is written that it is folded."""
    index._rooms.beside._rests = 0.0  # half a minute is not waited for
    (docs / "11.md").unlink()
    index.update(*write(docs, range(70, 70 + FOLD_AFTER)))
    index.settle()
    assert index.status()["fold"] == "rests"
    assert int(index.status()["generation"]) >= 2
    assert index.status()["documents"] == 10 + 2 * FOLD_AFTER - 1
    assert index.doctor() == []


if __name__ == "__main__":
    if sys.argv[1] == "read-only":
        read_only(Path(sys.argv[2]))
    else:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", sys.argv[2]], check=True)
        try:
            full(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
        except FingerpostError as error:
            sys.exit(f"{error.code} {error.message}")
