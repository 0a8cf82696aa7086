"""Updates: what changed is taken in at once, what disappeared from a folder goes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fingerpost.index import building
from fingerpost.index.building import Ingested
from fingerpost.index.rooms import Progress, Rooms
from fingerpost.index.vanishing import Reread, lost_sources, vanished
from fingerpost.records import Report


def update(rooms: Rooms, paths: Sequence[str | Path], progress: Progress) -> Report:
    """Read ``paths`` again: searchable in every leg when this returns. Folds when the tail has grown long."""
    given = [str(path) for path in paths]
    lost = lost_sources(rooms, [path for path in given if not os.path.lexists(path)])
    done = building.ingest(rooms, [path for path in given if path not in lost], progress)
    gone = drop_vanished(rooms, given, done)
    building.encode(rooms, progress)
    many = rooms.store.desk.n_fresh >= rooms.settings.store.fold_after
    if many or building.roots_of(rooms) != dict(done.roots):
        building.fold(rooms, progress, roots=done.roots)
    return report(rooms, done, deleted=gone)


def drop_vanished(rooms: Rooms, given: Sequence[str], done: Ingested) -> int:
    """Delete what the sources held and hold no longer; returns how many documents."""
    reread = Reread(given, done.roots, frozenset(done.doc_ids), frozenset(done.files), done.rejections)
    gone = vanished(rooms, reread)
    return rooms.store.delete(sorted(gone)) if gone else 0


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
    return Report(counts, tuple(done.rejections), done.notes, snapshot.generation)
