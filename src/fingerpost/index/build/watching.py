"""Watching folders: what changes on disk is taken in, batch by batch, until it is told to stop.

The system says what changed (extra `watch`: watchfiles, which uses inotify and its kin), so nothing is read
again that did not change. Watching begins before the sources are read for the first time: no change falls in
between.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any

from fingerpost.compiler.walk import passed_over
from fingerpost.errors import DiskError, UsageError, missing_extra
from fingerpost.records import Report

QUIET_MS = 50
"""A batch ends when nothing has changed for so long, at the latest after ``MOST_MS``."""
MOST_MS = 1_600
LOOK_MS = 200
"""How soon a stop is noticed."""
RETRY_S = 2.0
HOW: dict[str, Any] = {
    "watch_filter": None,
    "step": QUIET_MS,
    "debounce": MOST_MS,
    "rust_timeout": LOOK_MS,
    "yield_on_timeout": True,
}
ADDED, DELETED = 1, 3
"""``watchfiles.Change``."""

Update = Callable[..., Report]


def watch(update: Update, index: Path, paths: Sequence[str | Path], stop: Event) -> Iterator[Report]:
    """The report of a first update of ``paths``, then one of every batch of changes, once it is searchable.

    ``index`` is the folder that is written to; its own changes are none. While the disk is full or failing a
    batch waits, its report says so, and it is taken in with the next one. Raises MissingExtraError,
    UsageError E_USAGE for what is not there to be watched.
    """
    if importlib.util.find_spec("watchfiles") is None:
        raise missing_extra("watch", "watching folders")
    roots = [Path(os.path.abspath(path)) for path in paths]
    _check(roots)
    waiting, first = {os.path.abspath(path) for path in paths}, True
    for changed in _changed(roots, index, stop):
        waiting |= changed
        if not waiting:
            continue
        try:
            report = _without_temporary(update(*_outermost(waiting)))
        except DiskError as error:
            yield Report({"waiting": float(len(waiting))}, (), (f"{error.message}; {error.cure}",))
            stop.wait(RETRY_S)
            continue
        waiting.clear()
        if first or report.rejections or any(report.counts[name] for name in ("added", "updated", "deleted")):
            yield report
        first = False


def _changed(roots: Sequence[Path], index: Path, stop: Event) -> Iterator[set[str]]:
    """The paths of a batch of changes, every now and then of none.

    The system watches the very folder or file that it was given: it tells nothing of another one that takes
    its place. So what was removed or replaced is watched anew, and counts as changed once it is.
    """
    from watchfiles import watch as changes

    places, anew = _places(roots), set[str]()
    while not stop.is_set():
        standing = [root for root in roots if places[root] is not None]
        gone: set[str] = set()
        if not standing:
            yield anew
            stop.wait(LOOK_MS / 1_000)
        with suppress(FileNotFoundError):  # one of them went just now
            for batch in changes(*standing, **HOW, stop_event=stop) if standing else ():
                yield anew | {path for change, path in batch if _wanted(change, Path(path), roots, index)}
                anew = set()
                gone = {path for change, path in batch if change == DELETED and Path(path) in roots}
                if gone or _places(roots) != places:
                    break
        now = _places(roots)
        anew |= gone | {str(root) for root in roots if now[root] != places[root]}
        places = now


def _places(roots: Sequence[Path]) -> dict[Path, tuple[int, int] | None]:
    """Which folder or file stands at each path now; None where there is none."""
    found: dict[Path, tuple[int, int] | None] = dict.fromkeys(roots)
    for root in roots:
        with suppress(OSError):
            state = os.stat(root)
            found[root] = state.st_dev, state.st_ino
    return found


def _check(roots: Sequence[Path]) -> None:
    for root in roots:
        if not root.exists():
            raise UsageError("E_USAGE", f"{root} is not there to be watched", cure="name a folder or file")


def _wanted(change: int, path: Path, roots: Sequence[Path], index: Path) -> bool:
    """Whether a change is one of documents: not of the index, nor of what reading the folder passes over. A
    folder counts when it came, whole, or is gone; what happens in it is told of its files.
    """
    if path.is_relative_to(index.resolve()) or (path.is_dir() and (change != ADDED or path in roots)):
        return False
    return any(root == path or not passed_over(path, root) for root in roots if path.is_relative_to(root))


def _outermost(paths: Iterable[str]) -> list[str]:
    """Without what lies in a folder that is among them: it is read with that folder."""
    found: list[str] = []
    for path in sorted(paths, key=lambda path: (path.count(os.sep), path)):
        if not any(Path(path).is_relative_to(folder) for folder in found):
            found.append(path)
    return found


def _without_temporary(report: Report) -> Report:
    """A file that came and went between two looks was never a document: no error."""
    kept = [each for each in report.rejections if each.code != "E_NOT_FOUND" or os.path.lexists(each.source)]
    left = {"left_out": float(len(kept))} if "left_out" in report.counts else {}
    return replace(report, counts={**report.counts, **left}, rejections=tuple(kept))
