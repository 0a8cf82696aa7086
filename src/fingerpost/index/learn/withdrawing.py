"""Withdrawing pairs that were taught: they are forgotten, and everything that learned from them with them.

What was learned cannot be freed of single pairs, so it goes as a whole, and a lesson of the pairs that are
left takes its place where it pays. It is not compared with the lesson before: that one was taught, and was
judged by, what is withdrawn.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from fingerpost.errors import InputError
from fingerpost.index.epoch import BALANCE, DSI, LEARNED, LESSON, QUERIES, ROUTER
from fingerpost.index.learn import learning
from fingerpost.index.learn.given import Given, earlier, read
from fingerpost.index.learn.lesson import prepare
from fingerpost.index.learn.reverting import known_pairs
from fingerpost.index.progress import Progress
from fingerpost.index.rooms import Rooms
from fingerpost.records import GIVEN, Pair, Report
from fingerpost.text.counts import counted

Source = str | Path | Iterable[Pair]
TRAINED = {QUERIES: "trained query encoder", DSI: "DSI"}


def withdraw(rooms: Rooms, source: Source, progress: Progress) -> Report:
    """Forget these pairs, and learn anew from the others.

    Raises InputError E_PAIRS, and changes nothing, where none of them is kept.
    """
    wrong = {(pair.query, pair.doc_id) for pair in read(source).pairs}
    found = wrong & {(pair.query, pair.doc_id) for pair in earlier(rooms)}
    if not found:
        message = f"none of the pairs ({len(wrong):,}) was taught to this index, or is kept for a lesson"
        raise InputError("E_PAIRS", message, cure="take them from `fingerpost learn --list`")
    gone = _untaught(rooms)  # before the pairs go: stopped in between, the same call goes on
    count = rooms.store.forget_pairs(0, GIVEN, sorted(found))
    notes = [f"{counted(count, 'pair')} forgotten"]
    if missing := len(wrong - found):
        notes.append(f"{missing:,} of the pairs named were not kept")
    lost = [TRAINED[name] for name in TRAINED if name in gone]
    notes += [f"the {each} is gone: run `fingerpost train` again" for each in lost]
    return _taught_anew(rooms, float(count), notes, progress)


def _untaught(rooms: Rooms) -> list[str]:
    """Publish the index without what it learned; the names of what went."""
    desk = rooms.store.desk
    gone = [name for name in LEARNED if name != BALANCE and desk.artifact(name) is not None]
    if gone:
        artifacts = {LESSON: json.dumps({"pairs": known_pairs(rooms.store)}).encode()}
        router = rooms.epoch(desk).router
        if router is not None:
            artifacts[ROUTER] = router.untaught().to_bytes()
        rooms.store.republish(artifacts, drop=gone)
    return gone


def _taught_anew(rooms: Rooms, forgotten: float, notes: list[str], progress: Progress) -> Report:
    """A lesson of the pairs that are left, or the reason why there is none."""
    snapshot = rooms.store.snapshot()
    counts = {"forgotten": forgotten, "pairs": float(len(earlier(rooms)))}
    try:
        lesson = prepare(rooms, snapshot, Given(), progress)
        taught = learning.teach(rooms, snapshot, lesson, progress)
    except InputError as error:
        if error.code != "E_PAIRS":
            raise
        notes += [f"of the pairs that are left: {error.message}", "nothing learned ranks now"]
        return Report(counts, (), tuple(notes), snapshot.generation)
    notes += [*lesson.notes, *taught.notes]
    if taught.artifacts:
        return Report(counts, (), tuple(notes), learning.publish(rooms, taught))
    return Report(counts, (), (*notes, "nothing learned ranks now"), snapshot.generation)
