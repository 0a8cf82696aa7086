"""Upkeep: is everything whole, and how is what is derived made again?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fingerpost.errors import CorruptError
from fingerpost.index.build import building
from fingerpost.index.epoch import CODEC, LEARNED, ROUTER, SOURCES
from fingerpost.index.progress import Progress
from fingerpost.index.rooms import Rooms
from fingerpost.records import Report
from fingerpost.route.router import Router
from fingerpost.store import copies
from fingerpost.store import repair as repairing
from fingerpost.store.check import NO_VECTOR, NO_WAY_BACK, Finding
from fingerpost.store.repair import Saved
from fingerpost.store.store import Store

KEPT = (CODEC, SOURCES, *LEARNED)
"""Artifacts worth saving: the others are computed again."""
RELEARN = "run `fingerpost learn` again with the same pairs"


def examine(path: Path) -> list[Finding]:
    """Everything in an index folder that does not match its digest or count. It need not be openable."""
    try:
        with Store.open(path, verify="sizes") as store:
            return store.check()
    except CorruptError as error:
        name = error.detail or str(path)
        return [Finding(name, error.message.removeprefix(f"{name} is damaged: "), error.cure)]


def served_whole(path: Path) -> bool:
    """Whether something is wrong, and the generation that serves is not: what is kept to go back to, or
    chunks that wait for their vector (a lost tail file).
    """
    beside = (NO_VECTOR, NO_WAY_BACK)
    findings = examine(path)
    return bool(findings) and all(any(word in each.problem for word in beside) for each in findings)


def repair(path: Path, progress: Progress) -> list[Finding]:
    """Make everything derived again from the ledger; returns what is still wrong after it, and what could not
    be made again: parts that were learned, which serve together or not at all, and what was kept to go back
    to.

    Raises CorruptError when the ledger itself is damaged: there is nothing to make it from.
    """
    if served_whole(path):
        with Store.open(path, write=True) as store:
            building.encode(Rooms(path, store, store.settings), progress)
        return [*repairing.mend_kept(path), *examine(path)]
    saved = repairing.reset(path)
    gone = saved.lost.intersection(LEARNED)
    kept = {name: saved.whole[name] for name in KEPT if name in saved.whole}
    if gone:
        kept = {name: body for name, body in kept.items() if name not in LEARNED}
    with Store.open(path, write=True) as store:
        rooms = Rooms(path, store, store.settings)
        if kept:
            store.republish(kept)
        building.encode(rooms, progress)
        building.fold(rooms, progress)
    repairing.let_go(path)  # of what led here: going back would serve an index without slices
    return [*_lost(saved, gone), *examine(path)]


def _lost(saved: Saved, gone: frozenset[str]) -> Iterator[Finding]:
    """What a repair cannot make again, said once."""
    if gone:
        names = ", ".join(sorted(gone))
        yield Finding(names, "what was learned is lost with it: the search is untrained", RELEARN)
    if SOURCES in saved.lost:
        known = "which folders were compiled is lost, by which single files get their ids"
        yield Finding(SOURCES, known, "run `fingerpost compile` with the same sources")
    if not gone and _trained(saved):
        yield Finding(ROUTER, "its training is lost: it was for leaves that were laid out anew", RELEARN)


def _trained(saved: Saved) -> bool:
    """Whether there was a router with something learned; one that is damaged cannot tell."""
    body = saved.whole.get(ROUTER)
    return body is not None and Router.from_bytes(body).trained


def compact(rooms: Rooms, progress: Progress) -> Report:
    """Fold, keep nothing but what stands, and say what that came to."""
    before = _bytes(rooms)
    if not rooms.store.desk.folded:
        building.encode(rooms, progress)
        building.fold(rooms, progress)
    rooms.store.forget()
    return Report({"bytes_before": before, "bytes": _bytes(rooms)}, (), (), rooms.store.desk.generation)


def _bytes(rooms: Rooms) -> float:
    return float(rooms.store.status()["bytes"])


def snapshot(rooms: Rooms, to: Path) -> Report:
    """Copy the index as it is now, checked."""
    copies.take(rooms.path, to)
    return _told(to)


def restore(source: Path, to: Path, *, replace: bool) -> Report:
    """Put a copy of a snapshot in a new place, or in that of an index."""
    if replace and (to / "ledger.db").is_file():
        copies.put_in_place(source, to)
    else:
        copies.take(source, to)
    return _told(to)


def _told(path: Path) -> Report:
    with Store.open(path, verify="sizes") as store:
        status = store.status()
    counts = {name: float(status[name]) for name in ("documents", "chunks", "seq", "bytes")}
    return Report(counts, (), (), int(status["generation"]))
