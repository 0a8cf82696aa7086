"""The local query log: what was asked and what was clicked, masked, sampled, bounded, in the index's folder.

Two files of JSON Lines: ``queries.jsonl`` grows to half the size allowed, then becomes ``queries.old.jsonl``
and starts again, so that the newest half is always there. Nothing leaves the machine. Several processes may
write: a line is appended under a lock of the file.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zlib import crc32

from fingerpost.observe.names import fallback
from fingerpost.observe.seen import Seen

NAME, OLD, LOCK = "queries.jsonl", "queries.old.jsonl", "queries.lock"
SHOWN = 20
"""Results that a line keeps."""
MAX_LINE = 200_000


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the log holds: how often each query was asked, which documents were clicked for it and how often;
    ``damaged`` lines could not be read.
    """

    asked: Mapping[str, int] = field(default_factory=dict)
    clicks: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    damaged: int = 0


class QueryLog:
    """Writes and reads the log of one folder. ``clean`` masks a query; ``share`` of the queries are kept,
    chosen by their text, so that a query is always kept or never; ``most_mb`` bounds both files together.
    """

    def __init__(self, folder: Path, *, clean: Callable[[str], str], share: float, most_mb: int) -> None:
        self._folder, self._clean = folder, clean
        self._share, self._most = share, most_mb * 1_000_000

    def take(self, seen: Seen) -> None:
        """Keep one search or answer, if it is of the share."""
        query = self._clean(seen.query)
        if not query or crc32(query.encode()) >= self._share * 2**32:
            return
        line: dict[str, object] = {"kind": seen.operation, "at": _time(seen.ended), "query": query}
        if seen.trace is None:
            self._append({**line, "error": seen.error})
            return
        stages = {stage.name: round(stage.ms, 3) for stage in seen.trace.stages}
        reason = fallback(seen.trace.plan.reason) if seen.trace.plan is not None else ""
        line |= {"results": [doc_id for doc_id, _ in seen.results[:SHOWN]], "stages": stages}
        self._append(line | {"generation": seen.trace.generation, "fallback": reason})

    def click(self, query: str, doc_id: str, *, at: int) -> None:
        """Keep that a document was what the query wanted, ``at`` nanoseconds since 1970. Raises OSError where
        it cannot be written.
        """
        line = {"kind": "click", "at": _time(at), "query": self._clean(query), "doc_id": doc_id}
        self._append(line)

    def read(self) -> Recorded:
        """Everything the log holds, older lines first."""
        asked: dict[str, int] = {}
        clicks: dict[str, dict[str, int]] = {}
        damaged = 0
        for line in self._lines():
            kind, query, doc_id = _known(line)
            damaged += not kind
            if kind == "click":
                row = clicks.setdefault(query, {})
                row[doc_id] = row.get(doc_id, 0) + 1
            elif kind:
                asked[query] = asked.get(query, 0) + 1
        return Recorded(asked, clicks, damaged)

    def _lines(self) -> Iterator[bytes]:
        for name in (OLD, NAME):
            with suppress(FileNotFoundError), (self._folder / name).open("rb") as file:
                while line := file.readline(MAX_LINE):
                    yield line

    def _append(self, line: Mapping[str, object]) -> None:
        """One write under the lock; the file is turned over when it has grown to half of what is allowed."""
        body = (json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "replace")
        path = self._folder / NAME
        lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists() and path.stat().st_size + len(body) > self._most // 2:
                path.replace(self._folder / OLD)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(handle, body)
            finally:
                os.close(handle)
        finally:
            os.close(lock)


def _known(line: bytes) -> tuple[str, str, str]:
    """Kind, query and document of a line; kind "" for what is not a line of ours, such as a torn one."""
    try:
        found = json.loads(line)
        kind, query, doc_id = found["kind"], found["query"], found.get("doc_id", "")
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return "", "", ""
    whole = kind in ("search", "ask") or (kind == "click" and isinstance(doc_id, str) and doc_id)
    return (kind, query, doc_id) if whole and isinstance(query, str) and query else ("", "", "")


def _time(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).isoformat(timespec="milliseconds")
