"""`fingerpost update --watch` as a real process over a real folder."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fingerpost

WORDS_ONLY = fingerpost.Settings.model_validate({"models": {"encoder": "none"}})
PATIENCE = 120.0
"""Seconds until a hanging process fails the test; no measure of speed."""


class Watcher:
    """The process, and the reports that it prints."""

    def __init__(self, folder: Path, kb: Path) -> None:
        command = [sys.executable, "-m", "fingerpost.cli", "update", folder, "--at", kb, "--watch", "--json"]
        self.process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=kb.parent
        )

    def report(self) -> dict[str, Any]:
        """The next one."""
        assert self.process.stdout is not None
        ready = select.select([self.process.stdout], [], [], PATIENCE)[0]
        line = self.process.stdout.readline() if ready else b""
        assert line, self.process.poll()
        return dict(json.loads(line)["counts"])

    def until(self, **wanted: int) -> None:
        """Reports until these counts have come together: a change may be told in two batches."""
        missing = dict(wanted)
        while any(missing.values()):
            told = self.report()
            missing = {name: count - int(told[name]) for name, count in missing.items()}
            assert min(missing.values()) >= 0, (wanted, told)


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "amber.md").write_text("The amber gate.\n")
    return tmp_path / "docs"


@pytest.fixture
def watcher(docs: Path, tmp_path: Path) -> Iterator[Watcher]:
    fingerpost.compile(docs, to=tmp_path / "kb", settings=WORDS_ONLY).close()
    (docs / "basalt.md").write_text("The basalt gate, written while nobody watched.\n")
    watcher = Watcher(docs, tmp_path / "kb")
    yield watcher
    watcher.process.kill()
    watcher.process.communicate()


def put(path: Path, text: str) -> None:
    """In one step, as editors do: what is half written may be taken in, and is taken in again when whole."""
    path.with_name(f".{path.name}.new").write_text(text)
    path.with_name(f".{path.name}.new").rename(path)


def found(kb: Path, word: str) -> set[str]:
    with fingerpost.open(kb) as index:
        return {span.doc_id for span in index.search(word)}


def test_each_batch_is_searchable_when_it_is_told(watcher: Watcher, docs: Path, tmp_path: Path) -> None:
    kb = tmp_path / "kb"
    first = watcher.report()
    assert (first["added"], first["unchanged"]) == (1, 1)
    put(docs / "cedar.md", "The cedar gate.\n")
    watcher.until(added=1)
    assert found(kb, "cedar") == {"cedar.md"}
    put(docs / ".hidden.md", "The cedar gate, hidden.\n")
    put(docs / "amber.md", "The delta gate.\n")
    watcher.until(updated=1)
    assert (found(kb, "delta"), found(kb, "amber")) == ({"amber.md"}, set())
    fjord = tmp_path / "fjord"
    (fjord / "deep").mkdir(parents=True)
    (fjord / "deep" / "ember.md").write_text("The ember gate.\n")
    (fjord / "note.md").write_text("The ember gate as well.\n")
    fjord.rename(docs / "fjord")
    watcher.until(added=2)
    assert found(kb, "ember") == {"fjord/deep/ember.md", "fjord/note.md"}
    (docs / "fjord" / "note.md").unlink()
    (docs / "basalt.md").unlink()
    watcher.until(deleted=2)
    assert found(kb, "gate") == {"amber.md", "cedar.md", "fjord/deep/ember.md"}
    watcher.process.send_signal(signal.SIGINT)
    out, err = watcher.process.communicate(timeout=PATIENCE)
    assert (watcher.process.returncode, out) == (0, b""), err
    assert b"watching ended" in err
    assert b"Traceback" not in err
    with fingerpost.open(kb, write=True) as index:  # the lock is free again
        assert index.doctor() == []
        assert index.update(docs).counts["unchanged"] == 3


def test_a_folder_that_comes_back_is_watched_again(watcher: Watcher, docs: Path, tmp_path: Path) -> None:
    """The system watches the folder that was there, and says nothing of another one in its place."""
    kb, gone = tmp_path / "kb", tmp_path / "gone"
    watcher.report()
    docs.rename(gone)
    watcher.until(deleted=2)
    assert found(kb, "gate") == set()
    docs.mkdir()
    put(docs / "cedar.md", "The cedar gate.\n")
    watcher.until(added=1)
    assert found(kb, "gate") == {"cedar.md"}
    put(docs / "delta.md", "The delta gate.\n")
    watcher.until(added=1)
    docs.rename(tmp_path / "second")
    gone.rename(docs)  # another one at once
    watcher.until(added=2, deleted=2)
    assert found(kb, "gate") == {"amber.md", "basalt.md"}


def test_a_file_that_an_editor_replaces_is_watched_again(docs: Path, tmp_path: Path) -> None:
    kb = tmp_path / "kb"
    fingerpost.compile(docs, to=kb, settings=WORDS_ONLY).close()
    watcher = Watcher(docs / "amber.md", kb)
    try:
        watcher.report()
        for word in ("cedar", "delta", "ember"):
            put(docs / "amber.md", f"The {word} gate.\n")
            watcher.until(updated=1)
            assert found(kb, word) == {"amber.md"}
    finally:
        watcher.process.kill()
        watcher.process.communicate()


def test_what_is_not_there_cannot_be_watched(docs: Path, tmp_path: Path) -> None:
    fingerpost.compile(docs, to=tmp_path / "kb", settings=WORDS_ONLY).close()
    watcher = Watcher(tmp_path / "nowhere", tmp_path / "kb")
    _, err = watcher.process.communicate(timeout=PATIENCE)
    assert watcher.process.returncode == 2
    assert b"is not there to be watched" in err
