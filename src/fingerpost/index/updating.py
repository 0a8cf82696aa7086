"""Updates: what changed is taken in at once, what disappeared from a folder goes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from fingerpost.index import building
from fingerpost.index.building import Ingested
from fingerpost.index.rooms import Progress, Rooms
from fingerpost.records import Report


def update(rooms: Rooms, paths: Sequence[str | Path], progress: Progress) -> Report:
    """Read ``paths`` again: searchable in every leg when this returns. Folds when the tail has grown long."""
    given = [str(path) for path in paths]
    present = [path for path in given if os.path.lexists(path) or not _known(rooms, path)]
    done = building.ingest(rooms, present, progress)
    gone = rooms.store.delete(sorted(_vanished(rooms, given, done)))
    building.encode(rooms, progress)
    if rooms.store.desk.n_fresh >= rooms.settings.store.fold_after:
        building.fold(rooms, progress, roots=done.roots)
    return report(rooms, done, deleted=gone)


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


def _known(rooms: Rooms, path: str) -> bool:
    """Whether a path that is not there any more lies in a folder that was compiled."""
    return bool(_prefixes(rooms, [path]))


def _vanished(rooms: Rooms, given: Sequence[str], done: Ingested) -> set[str]:
    """Documents under the given folders (or files that are gone) that reading did not meet.

    A document whose file is there but could not be read keeps its last good version.
    """
    prefixes = _prefixes(rooms, given)
    if not prefixes:
        return set()
    met = set(done.doc_ids)
    kept = [rejection.source for rejection in done.rejections]
    snapshot = rooms.store.snapshot()
    gone = set()
    for document in snapshot.about(dict.fromkeys(snapshot.doc_keys(snapshot.keys()).tolist())):
        path = str(document.metadata.get("path", document.doc_id))
        under = any(path == prefix or path.startswith(f"{prefix}/") or not prefix for prefix in prefixes)
        if under and document.doc_id not in met and not any(path in source for source in kept):
            gone.add(document.doc_id)
    return gone


def _prefixes(rooms: Rooms, given: Sequence[str]) -> list[str]:
    """What the paths of documents under the given folders (or vanished files) begin with."""
    roots = building.roots_of(rooms)
    found = []
    for path in given:
        absolute = Path(os.path.abspath(path))
        if absolute.is_file():
            continue
        for root, prefix in roots.items():
            if absolute == Path(root) or absolute.is_relative_to(root):
                below = absolute.relative_to(root).as_posix()
                found.append("/".join(part for part in (prefix, below if below != "." else "") if part))
    return found
