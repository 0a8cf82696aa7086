"""Feedback: clicks go into the query log, and come out as questions whose documents are known."""

from __future__ import annotations

from collections.abc import Sequence

from fingerpost.errors import DiskError, InputError, UsageError
from fingerpost.evaluate.datasets import QuestionSet
from fingerpost.index import observing
from fingerpost.index.rooms import Rooms
from fingerpost.records import Pair
from fingerpost.text import query as queries
from fingerpost.text.counts import counted

ORIGIN = "log"


def click(rooms: Rooms, query: str, doc_id: str, *, principals: Sequence[str]) -> None:
    """Record that a document was what a query wanted.

    Raises UsageError where the log is off or the query is not valid, NotFoundError for a document that is not
    there (or not for these principals), DiskError where the log cannot be written.
    """
    if not rooms.settings.observe.log_queries:
        cure = "set log_queries = true under [observe] in the settings the index is opened with"
        raise UsageError("E_USAGE", "the query log is off", cure=cure)
    text = queries.parse(query).text
    snapshot = rooms.store.snapshot()
    snapshot.doc_key(doc_id, allow=snapshot.allow(None, principals))
    try:
        observing.query_log(rooms).click(text, doc_id, at=rooms.clock.stamp())
    except OSError as error:
        raise DiskError(
            "E_DISK",
            f"the query log cannot be written: {error.strerror}",
            cure="make room, or permit writing",
        ) from error


def questions(rooms: Rooms) -> QuestionSet:
    """The recorded queries that were clicked, each with its documents; marked as logged.

    Raises InputError E_QRELS where no click was recorded.
    """
    found = observing.query_log(rooms).read()
    if not found.clicks:
        message = f"the query log holds {counted(len(found.asked), 'query')} and no click"
        cure = "set observe.log_queries = true, and record clicks with `fingerpost feedback`"
        raise InputError("E_QRELS", message, cure=cure)
    ids = {text: f"log{number}" for number, text in enumerate(found.clicks, start=1)}
    silent = sum(text not in found.clicks for text in found.asked)
    notes = (
        "recorded queries: a click favours what was shown first, so these numbers flatter",
        *((f"{counted(silent, 'recorded query')} without a click left out",) if silent else ()),
        *((f"{counted(found.damaged, 'line')} of the log cannot be read",) if found.damaged else ()),
    )
    qrels = {ids[text]: dict.fromkeys(row, 1) for text, row in found.clicks.items()}
    texts = {query_id: text for text, query_id in ids.items()}
    return QuestionSet("query log", ORIGIN, texts, qrels, logged=True, notes=notes)


def pairs(rooms: Rooms) -> list[Pair]:
    """The same as training pairs; what was clicked oftener for a query weighs more."""
    clicks = observing.query_log(rooms).read().clicks
    if not clicks:
        questions(rooms)  # says what is missing
    return [
        Pair(text, doc_id, weight=count / max(row.values()), origin=ORIGIN)
        for text, row in clicks.items()
        for doc_id, count in row.items()
    ]
