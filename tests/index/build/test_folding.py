"""A fold beside: the update that causes it returns, later writes stay in the tail, and nobody is misled."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Timer, enumerate

import pytest
from bench.history import documents, ranking, state

import fingerpost
from fingerpost.errors import UsageError
from fingerpost.index import beside
from fingerpost.index.build import building, updating
from fingerpost.index.facade import Index
from fingerpost.index.progress import Progress, silent
from fingerpost.index.rooms import Rooms
from fingerpost.store import Store
from fingerpost.store.points import Points

PATIENCE = 120.0
"""Seconds until a hanging test fails; no measure of speed."""
FOLD_AFTER = 20
WORDS = ["amber", "basalt", "cedar", "delta", "ember", "fjord", "granite", "harbor"]
SETTINGS = fingerpost.Settings.model_validate(
    {"models": {"encoder": "none"}, "store": {"fold_after": FOLD_AFTER}}
)


class Gate(Points):
    """Stops whoever comes to a place until it is opened."""

    def __init__(self, place: str) -> None:
        self.place, self.reached, self.open = place, Event(), Event()

    def reach(self, name: str) -> None:
        if name == self.place:
            self.reached.set()
            assert self.open.wait(PATIENCE)


def text(number: int, edition: int = 0) -> str:
    words = [WORDS[(number * 7 + at * (edition + 3)) % len(WORDS)] for at in range(12)]
    return f"# Page {number}\n\nTicket QX-{number:04d} v{edition}: {' '.join(words)}.\n"


def write(folder: Path, numbers: range, edition: int = 0) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.md" for number in numbers]
    for path, number in zip(paths, numbers, strict=True):
        path.write_text(text(number, edition))
    return paths


@contextmanager
def folding(kb: Path, docs: Path, place: str = "fold.begun") -> Iterator[tuple[Index, Gate]]:
    """An index in which an update has begun a fold that now stands at a place."""
    gate = Gate(place)
    store = Store.open(kb, write=True, points=gate)
    try:
        with Index(Rooms(kb, store, SETTINGS)) as index:
            index.update(*write(docs, range(10, 10 + FOLD_AFTER)))
            assert gate.reached.wait(PATIENCE)
            yield index, gate
            gate.open.set()
    finally:
        gate.open.set()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    write(tmp_path / "docs", range(10))
    return tmp_path / "docs"


@pytest.fixture
def kb(docs: Path, tmp_path: Path) -> Path:
    fingerpost.compile(docs, to=tmp_path / "kb", settings=SETTINGS).close()
    return tmp_path / "kb"


def waits_for(index: Index, call: Callable[[], object]) -> None:
    """Call this when somebody begins to wait for the fold."""
    beside = index._rooms.beside
    really = beside.wait

    def wait(progress: Progress = silent) -> None:
        call()
        really(progress)

    beside.wait = wait  # type: ignore[method-assign]


def names(index: Index, text: str) -> list[str]:
    return [name for name, _ in ranking(index, text)]


def found(index: Index, number: int) -> list[str]:
    return [span.text for span in index.search(f"QX-{number:04d}", k=1)]


def test_the_update_returns_and_what_comes_meanwhile_stays_in_the_tail(
    kb: Path, docs: Path, tmp_path: Path
) -> None:
    with folding(kb, docs) as (index, gate):
        assert index.folding
        assert str(index.status()["fold"]).startswith("runs")
        pinned, before = int(index.status()["seq"]), int(index.status()["generation"])
        assert "v0" in found(index, 12)[0]
        index.update(*write(docs, range(12, 14), edition=1))
        index.update(*write(docs, range(60, 62)))
        index.delete("14.md")
        (docs / "14.md").unlink()
        assert "v1" in found(index, 12)[0]
        assert int(index.status()["generation"]) == before
        then = {text: names(index, text) for text in WORDS}
        gate.open.set()
        index.settle()
        status = index.status()
        assert (status["fold"], status["generation"], status["folded_seq"]) == ("rests", before + 1, pinned)
        assert int(status["seq"]) > pinned
        assert {text: names(index, text) for text in WORDS} == then
        assert index.doctor() == []
        building.fold(index._rooms, silent)
        with fingerpost.compile(docs, to=tmp_path / "new", settings=SETTINGS) as new:
            assert documents(index) == documents(new)
            assert state(index) == state(new)
            assert all(ranking(index, text) == ranking(new, text) for text in WORDS)


def test_a_view_of_before_stays_as_it_was(kb: Path, docs: Path) -> None:
    with folding(kb, docs) as (index, gate):
        view = index._rooms.store.snapshot()
        keys = view.keys().tolist()
        index.update(*write(docs, range(10, 40), edition=1))
        gate.open.set()
        index.settle()
        assert view.keys().tolist() == keys
        assert all("v0" in chunk.text for chunk in view.chunks(keys))


def test_only_one_fold_runs_at_a_time(kb: Path, docs: Path) -> None:
    with folding(kb, docs) as (index, gate):
        for number in (200, 210):
            index.update(*write(docs, range(number, number + 5)))
        assert [each.name for each in enumerate()].count("fingerpost fold") == 1
        before = int(index.status()["generation"])
        gate.open.set()
        index.settle()
        assert int(index.status()["generation"]) == before + 1


def test_an_update_that_outgrows_the_fold_waits_for_it_and_folds(kb: Path, docs: Path) -> None:
    with folding(kb, docs) as (index, gate):
        before = int(index.status()["generation"])
        waits_for(index, gate.open.set)
        index.update(*write(docs, range(100, 100 + updating.MUCH * FOLD_AFTER)))
        assert not index.folding
        assert int(index.status()["generation"]) == before + 2
        assert index.status()["seq"] == index.status()["folded_seq"]


@pytest.mark.parametrize(
    "act",
    [
        lambda index, folder: index.rollback(),
        lambda index, folder: index.compact(),
        lambda index, folder: index.snapshot(folder / "copy"),
        lambda index, folder: index.learn(generate=5),
        lambda index, folder: index.close(),
    ],
    ids=["rollback", "compact", "snapshot", "learn", "close"],
)
def test_what_publishes_or_copies_waits_for_the_fold(
    kb: Path, docs: Path, tmp_path: Path, act: Callable[[Index, Path], object]
) -> None:
    with folding(kb, docs) as (index, gate):
        before = index._rooms.store.desk.generation
        with ThreadPoolExecutor(1) as others:
            acting = others.submit(act, index, tmp_path)
            assert not wait([acting], 0.3).done
            gate.open.set()
            error = acting.exception(PATIENCE)
        assert index._rooms.store.desk.generation > before
        assert error is None or error.code == "E_USAGE", error  # an index of words has nothing to learn
    assert fingerpost.doctor(kb) == []


def test_an_error_is_told_and_loses_nothing(
    kb: Path, docs: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next generation's folder cannot be made: a file has its name."""
    with fingerpost.open(kb, write=True, settings=SETTINGS) as index:
        number = int(index.status()["generation"]) + 1
        (kb / f"gen-{number:06d}").write_text("in the way")
        index.update(*write(docs, range(10, 10 + FOLD_AFTER)))
        index._rooms.beside.wait()
        assert str(index.status()["fold"]).startswith("failed: E_EXISTS")
        assert "the fold that ran beside failed: E_" in caplog.text
        assert found(index, 12)
        index.delete("11.md")  # a delete is never kept back
        assert not any("QX-0011" in text for text in found(index, 11))
        seq = index.status()["seq"]
        with pytest.raises(UsageError, match="the fold that ran beside failed"):
            index.update(*write(docs, range(70, 71)))
        assert index.status()["seq"] == seq, "nothing else was done"
        index.update(docs / "70.md")
        assert found(index, 70)
        assert not index.folding, "it is not tried again at once"
        monkeypatch.setattr(beside, "RETRY_SECONDS", 0.0)
        index._rooms.beside._rests = 0.0
        index.update(*write(docs, range(71, 72)))
        with pytest.raises(UsageError, match="the fold that ran beside failed"):
            index.close()
    (kb / f"gen-{number:06d}").unlink(missing_ok=True)
    with fingerpost.open(kb, write=True, settings=SETTINGS) as index:
        index.update(*write(docs, range(72, 73)))
        index.settle()
        assert int(index.status()["generation"]) == number
        assert index.status()["fold"] == "rests"
        assert index.doctor() == []
        assert index.status()["documents"] == 10 + FOLD_AFTER - 1 + 3


def test_an_error_does_not_hide_another(kb: Path, docs: Path) -> None:
    def fail() -> None:
        with fingerpost.open(kb, write=True, settings=SETTINGS) as index:
            (kb / f"gen-{int(index.status()['generation']) + 1:06d}").write_text("in the way")
            index.update(*write(docs, range(10, 10 + FOLD_AFTER)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    fingerpost.open(kb, write=True).close()


def test_ctrl_c_stops_the_fold_and_leaves_everything(kb: Path, docs: Path, tmp_path: Path) -> None:
    before = fingerpost.open(kb).status()["generation"]

    def interrupt(index: Index, gate: Gate) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        index._rooms.beside._stop.wait(PATIENCE)
        gate.open.set()

    def settled() -> None:
        with folding(kb, docs) as (index, gate):
            Timer(0.2, interrupt, (index, gate)).start()
            index.settle()

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            settled()
    finally:
        signal.signal(signal.SIGINT, handler)
    assert [each.name for each in enumerate()].count("fingerpost fold") == 0
    with fingerpost.open(kb, write=True, settings=SETTINGS) as index:
        assert index.status()["generation"] == before
        assert [path.name for path in kb.glob("gen-*")] == [f"gen-{before:06d}"]
        assert found(index, 12)
        index.update(*write(docs, range(80, 81)))
        index.settle()
        assert index.status()["generation"] == int(str(before)) + 1
        assert index.doctor() == []


def test_the_past_is_whole_where_writes_came_during_a_fold(own_kb: Path, docs: Path) -> None:
    """With vectors: also of what came and went before the fold was published."""
    seen: dict[int, dict[str, str]] = {}
    with fingerpost.open(own_kb, write=True) as index:
        index.update(docs / "1.md")

        def meanwhile() -> None:
            if seen:
                return
            for edition in (1, 2, 3):
                index.update(*write(docs, range(3), edition))
                seen[int(index.status()["seq"])] = state(index)
            index.delete(*(document for document in documents(index) if document.endswith("2.md")))
            seen[int(index.status()["seq"])] = state(index)

        building.fold(index._rooms, silent, pause=meanwhile)
        assert int(index.status()["folded_seq"]) < min(seen)
        assert index.status()["missing_vectors"] == 0
    for seq, then in seen.items():
        with fingerpost.open(own_kb, as_of=seq) as past:
            assert past.status()["missing_vectors"] == 0, seq
            assert state(past) == then


def test_a_fold_leaves_out_what_is_about_to_be_encoded(own_kb: Path, docs: Path) -> None:
    with fingerpost.open(own_kb, write=True) as index:
        index.update(docs / "1.md")
        whole = int(index.status()["seq"])
        building.ingest(index._rooms, [docs / "2.md"], silent)  # another thread is about to encode it
        building.fold(index._rooms, silent)
        status = index.status()
        assert (status["folded_seq"], status["missing_vectors"]) == (whole, 1)
        assert building.encode(index._rooms, silent) == 1
        building.fold(index._rooms, silent)
        assert index.status()["folded_seq"] == index.status()["seq"]


def test_an_index_of_words_rolls_back_behind_a_fold(kb: Path, docs: Path) -> None:
    with fingerpost.open(kb, write=True, settings=SETTINGS) as index:
        index.update(*write(docs, range(10, 10 + FOLD_AFTER)))
        index.settle()
        before = names(index, "QX-0012")
        index.rollback()
        assert names(index, "QX-0012") == before, "what was written since is in the tail"
        assert index.doctor() == []


def test_a_log_line_names_a_bug(kb: Path, docs: Path, caplog: pytest.LogCaptureFixture) -> None:
    with fingerpost.open(kb, write=True, settings=SETTINGS) as index:

        def broken(_: Progress) -> None:
            raise ZeroDivisionError("a bug")

        assert index._rooms.beside.begin(broken)
        with pytest.raises(ZeroDivisionError):
            index.settle()
    assert [record.exc_info is not None for record in caplog.records if record.levelno == logging.ERROR] == [
        True
    ]
