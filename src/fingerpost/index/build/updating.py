"""Updates: what changed is taken in at once, what disappeared from a folder goes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from math import sqrt
from pathlib import Path

from fingerpost.index.build import building
from fingerpost.index.build.building import Ingested
from fingerpost.index.build.situating import Announce, unsaid
from fingerpost.index.build.vanishing import Reread, lost_sources, vanished
from fingerpost.index.lagging import Write
from fingerpost.index.progress import Progress
from fingerpost.index.rooms import Rooms
from fingerpost.index.turns import QUICK
from fingerpost.records import Report

MUCH = 2
"""Times the tail that is worth a fold: from there on an update folds before it returns."""
LIGHT = 16_000
"""Chunks up to which an index folds after ``fold_after``."""
NOTHING = "the index holds no document: there was nothing to read in what was named"


def update(
    rooms: Rooms, paths: Sequence[str | Path], progress: Progress, announce: Announce = unsaid
) -> Report:
    """Read ``paths`` again: searchable in every leg when this returns. When the tail has grown long, a fold
    begins beside; where it has grown so long that one cannot keep up, or sources are new, it is done here.
    Raises what became of the fold before, and then nothing else was done.
    """
    rooms.keep_reading()
    rooms.beside.tell()
    given = [str(path) for path in paths]
    lost = lost_sources(rooms, [path for path in given if not os.path.lexists(path)])
    standing = [path for path in given if path not in lost]
    with building.encoding(rooms) as ahead:
        done = building.ingest(rooms, standing, progress, announce, ahead)
        gone = drop_vanished(rooms, given, done)
        finish(rooms, done, progress, look=tail(rooms) < MUCH)
    if rooms.roots != dict(done.roots):  # where files get their ids from is kept when this returns
        building.fold(rooms, progress, roots=done.roots)
    else:
        keep_up(rooms, progress)
    return report(rooms, done, deleted=gone)


def keep_up(rooms: Rooms, progress: Progress) -> None:
    """Fold beside where the tail is worth it; or here, where it grows faster than that."""
    if tail(rooms) >= MUCH:
        rooms.beside.wait(progress)
    if tail(rooms) >= MUCH:
        building.fold(rooms, progress)
    elif tail(rooms) >= 1:
        rooms.beside.begin(partial(fold_beside, rooms))


def fold_beside(rooms: Rooms, heard: Progress) -> None:
    """A fold that can be stopped before each part that it reads."""

    def pause() -> None:
        heard("", 0, None)
        rooms.turns.give_way()

    with QUICK:
        building.fold(rooms, heard, pause=pause)


def tail(rooms: Rooms) -> float:
    """How long the tail is; at 1 it is worth a fold."""
    desk = rooms.store.desk
    return desk.n_fresh / longest_tail(desk.n_folded, rooms.settings.store.fold_after)


def longest_tail(folded: int, fold_after: int) -> int:
    """Fresh chunks at which an index of ``folded`` chunks folds. A fold costs by what there is, and each
    fresh chunk costs every query and update until then: their sum is least at a number that grows with the
    root of what there is.

    >>> [longest_tail(folded, 2_000) for folded in (0, 16_000, 100_000, 1_000_000)]
    [2000, 2000, 5000, 15811]
    """
    return int(fold_after * max(1.0, sqrt(folded / LIGHT)))


def finish(rooms: Rooms, done: Ingested, progress: Progress, *, look: bool) -> None:
    """Encode what was written, and keep how long it took until each leg finds it: with ``look`` as a search
    pins it, otherwise (so much is new that it is folded here) as the store acknowledges it.
    """
    lexical = _visible(rooms, look=look)
    building.encode(rooms, progress, done.ahead)
    dense = _visible(rooms, look=look)
    rooms.lagging.record(done.writes, lexical=lexical, dense=dense if rooms.store.dim else None)


def _visible(rooms: Rooms, *, look: bool) -> float:
    if look:
        rooms.turns.give_way()
        rooms.store.snapshot()
    return rooms.clock.steady()


def drop_vanished(rooms: Rooms, given: Sequence[str], done: Ingested) -> int:
    """Delete what the sources held and hold no longer; returns how many documents."""
    began = rooms.clock.steady()
    reread = Reread(given, done.roots, frozenset(done.doc_ids), frozenset(done.files), done.rejections)
    gone = vanished(rooms, reread)
    return delete(rooms, sorted(gone), done.writes, began) if gone else 0


def delete(rooms: Rooms, doc_ids: Sequence[str], writes: list[Write], began: float) -> int:
    """Delete documents and note the write; returns how many there were."""
    count = rooms.store.delete(doc_ids)
    if count:
        writes.append(Write(rooms.store.desk.seq, count, began, rooms.clock.steady()))
    return count


def remove(rooms: Rooms, doc_ids: Sequence[str]) -> int:
    """Delete documents: gone from every leg when this returns; how many there were."""
    writes: list[Write] = []
    count = delete(rooms, doc_ids, writes, rooms.clock.steady())
    seen = _visible(rooms, look=True)
    rooms.lagging.record(writes, lexical=seen, dense=seen if rooms.store.dim else None)
    return count


def report(rooms: Rooms, done: Ingested, *, deleted: int) -> Report:
    """What reading and writing came to."""
    snapshot = rooms.store.snapshot()
    counts = {
        "added": float(done.added),
        "updated": float(done.updated),
        "unchanged": float(done.unchanged),
        "deleted": float(deleted),
        "left_out": float(len(done.rejections)),
        "documents": float(snapshot.n_documents),
        "chunks": float(snapshot.n_chunks),
    }
    nothing = () if snapshot.n_documents or deleted else (NOTHING,)
    return Report(counts, tuple(done.rejections), (*done.notes, *nothing), snapshot.generation)
