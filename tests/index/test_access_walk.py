"""What goes wrong around labels and folders in daily use: a named error, or the old state whole."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Event

import pytest

import fingerpost
from fingerpost.errors import FingerpostError, InputError, LockedError
from fingerpost.index import Index

PATIENCE = 120.0
"""Seconds until a hanging test fails; no measure of speed."""
PLAIN = fingerpost.Settings.model_validate({"models": {"encoder": "none"}})


def written(path: Path, labels: object = None, text: str = "zebra", name: str = "a") -> Path:
    record = {"_id": name, "text": text}
    path.write_text(json.dumps(record if labels is None else record | {"labels": labels}) + "\n")
    return path


@pytest.fixture
def kb(tmp_path: Path) -> Path:
    """One document of the group ops."""
    fingerpost.compile(written(tmp_path / "a.jsonl", ["ops"]), to=tmp_path / "kb", settings=PLAIN).close()
    return tmp_path / "kb"


WRONG = {
    " ops ": "has blanks around it",
    "ops\u00a0": "has blanks around it",
    "\u0000": "cannot be seen",
    "op\u202es": "cannot be seen",
    "\ud800": "cannot be seen",
    "": "is empty",
    "x" * 513: "is too long",
}


@pytest.mark.parametrize("label", [*WRONG, 7, None, ["ops"]], ids=ascii)
def test_a_wrong_label_is_refused_and_the_old_state_stays(label: object, kb: Path, tmp_path: Path) -> None:
    said = WRONG[label] if isinstance(label, str) else "is no string"
    with fingerpost.open(kb, write=True) as index:
        report = index.update(written(tmp_path / "a.jsonl", ["dev", label], text="zebra of today"))
        [rejection] = report.rejections
        assert (rejection.code, said in rejection.reason) == ("E_BAD_FORMAT", True)
        assert "blanks around" in rejection.cure
        assert index.document("a", principals=["ops"]).text == "zebra"
        assert not index.search("zebra", principals=["dev"])
        with pytest.raises(InputError, match=said):
            index._rooms.store.relabel({"a": ("dev", label)})  # type: ignore[dict-item]
        assert index.document("a", principals=["ops"]).labels == ("ops",)


def test_a_label_given_twice_counts_once(kb: Path, tmp_path: Path) -> None:
    with fingerpost.open(kb, write=True) as index:
        assert not index.update(written(tmp_path / "a.jsonl", ["dev", "dev"])).rejections
        assert index.document("a", principals=["dev"]).labels == ("dev",)


@pytest.mark.parametrize("unknown", ["nobody", "OPS", "ops\u0301", "%", "x" * 512], ids=ascii)
def test_an_unknown_principal_sees_nothing_and_is_told_nothing(unknown: str, kb: Path) -> None:
    with fingerpost.open(kb) as index:
        spans, trace = index.trace("zebra", principals=[unknown])
        assert not spans
        same = index.trace("zebra", principals=["someone-else"])[1]
        assert [stage.note for stage in trace.stages] == [stage.note for stage in same.stages]


READER = """
import sys
import fingerpost
with fingerpost.open(sys.argv[1]) as index:
    for line in sys.stdin:
        print(*(len(index.search("zebra", principals=[each])) for each in ("ops", "dev")), flush=True)
"""


def test_a_change_of_labels_under_load_holds_with_its_acknowledgement(kb: Path, tmp_path: Path) -> None:
    """Threads and another process read all the time; what began after the change never shows it."""
    stop, began = Event(), Barrier(4, timeout=PATIENCE)
    state = (0, "ops")  # how many changes were acknowledged, and who holds it by the last; "" while one runs

    def read(index: Index) -> None:
        looked = False  # all between two changes, once at least
        began.wait()
        while not (stop.is_set() and looked):
            before = state
            seen = {each for each in ("ops", "dev") if index.search("zebra", principals=[each])}
            if before[1] and before == state:
                assert seen == {before[1]}
                looked = True

    with (
        fingerpost.open(kb, write=True) as index,
        fingerpost.open(kb) as other,
        ThreadPoolExecutor(3) as readers,
    ):
        reading = [readers.submit(read, each) for each in (index, other, other)]
        with subprocess.Popen(
            [sys.executable, "-c", READER, str(kb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                began.wait()
                for number in range(40):
                    now = ("ops", "dev")[number % 2]
                    path = written(
                        tmp_path / "a.jsonl", [now], text="zebra" if number % 3 else f"zebra {number}"
                    )
                    state = (number, "")
                    index.update(path)
                    state = (number + 1, now)
                    print("?", file=process.stdin, flush=True)
                    ops, dev = map(int, process.stdout.readline().split())
                    assert (ops > 0, dev > 0) == (now == "ops", now == "dev")
            finally:
                stop.set()
                process.stdin.close()
        for each in reading:
            each.result()


def test_an_update_beside_a_delete_leaves_one_or_the_other(kb: Path, tmp_path: Path) -> None:
    """With its labels, or not there at all: never open, never half. A delete finds either."""
    with fingerpost.open(kb, write=True) as index, ThreadPoolExecutor(1) as beside:
        for number in range(15):
            index.update(written(tmp_path / "a.jsonl", ["ops"], text="zebra of before"))
            path = written(tmp_path / "a.jsonl", ["ops"], text=f"zebra {number}")
            deleting = beside.submit(index.delete, "a")
            index.update(path)
            assert deleting.result().counts["deleted"] == 1
            assert not index.search("zebra")
            found = {span.text for span in index.search("zebra", principals=["ops"])}
            assert found in (set(), {f"zebra {number}"})
        assert index.doctor() == []


def test_a_copy_is_an_index_of_its_own(kb: Path, tmp_path: Path) -> None:
    """Copied while nobody writes, both are written to; a folder is written by one alone."""
    shutil.copytree(kb, tmp_path / "copy")
    with fingerpost.open(kb, write=True) as one, fingerpost.open(tmp_path / "copy", write=True) as two:
        with pytest.raises(LockedError):
            fingerpost.open(tmp_path / "copy", write=True)
        two.update(written(tmp_path / "a.jsonl", ["dev"]))
        assert one.search("zebra", principals=["ops"])
        assert not two.search("zebra", principals=["ops"])


def parts(kb: Path) -> list[Path]:
    return sorted(path.relative_to(kb) for path in kb.rglob("*") if path.is_file())


@pytest.mark.parametrize("part", ["MANIFEST", "ledger.db", "gen-000001"])
def test_an_index_half_copied_says_so(part: str, kb: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(kb, tmp_path / "copy"))
    shutil.rmtree(copy / part) if (copy / part).is_dir() else (copy / part).unlink()
    with pytest.raises(FingerpostError) as caught, fingerpost.open(copy) as index:
        index.search("zebra")
    assert caught.value.cure
    with fingerpost.open(kb) as index:
        assert index.search("zebra", principals=["ops"])


def test_any_file_half_copied_is_noticed_or_not_needed(kb: Path, tmp_path: Path) -> None:
    """Never another answer, and never one to who may not read it."""
    for number, part in enumerate(parts(kb)):
        copy = Path(shutil.copytree(kb, tmp_path / f"copy{number}"))
        whole = (copy / part).read_bytes()
        (copy / part).write_bytes(whole[: len(whole) // 2])
        with suppress(FingerpostError), fingerpost.open(copy) as index:  # any other error fails this
            assert {span.text for span in index.search("zebra", principals=["ops"])} == {"zebra"}, part
            assert not index.search("zebra"), part
