"""Index: what users hold. Each method passes records between the rooms and returns records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from fingerpost.compiler import policy_digest
from fingerpost.config import Settings
from fingerpost.index import building, searching
from fingerpost.index.rooms import NO_MODEL, Progress, Rooms, silent
from fingerpost.models.encoder import load_encoder
from fingerpost.records import Report, Span, Trace
from fingerpost.store.store import Store


class Index:
    """An index folder, open. Use as a context manager, or ``close`` it."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def search(
        self, query: str, *, k: int = 10, filters: Sequence[str] = (), principals: Sequence[str] = ()
    ) -> list[Span]:
        """The ``k`` best spans of evidence for a query."""
        return self.trace(query, k=k, filters=filters, principals=principals)[0]

    def trace(
        self, query: str, *, k: int = 10, filters: Sequence[str] = (), principals: Sequence[str] = ()
    ) -> tuple[list[Span], Trace]:
        """Search, and say what was done stage by stage."""
        found = searching.find(self._rooms, searching.Request(query, filters, principals))
        snapshot = found.snapshot
        spans = [
            Span(c.doc_id, c.chunk_id, c.start, c.end, c.text, hit.score, c.title, c.heading, hit.parts)
            for hit, c in zip(found.hits(k), snapshot.chunks([h.key for h in found.hits(k)]), strict=True)
        ]
        return spans, found.recorder.trace(query, generation=snapshot.generation, plan=found.plan)

    def close(self) -> None:
        """Let go of the folder."""
        self._rooms.store.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def compile(
    *sources: str | Path, to: str | Path, settings: Settings | None = None, progress: Progress = silent
) -> Index:
    """Read, mask, chunk and index ``sources`` into the folder ``to``; goes on where it was interrupted."""
    rooms = _rooms_for(Path(to), settings)
    ingested = building.ingest(rooms, sources, progress)
    building.encode(rooms, progress)
    building.fold(rooms, progress, roots=ingested.roots)
    index = Index(rooms)
    index.report = Report(
        {"added": ingested.added, "updated": ingested.updated, "unchanged": ingested.unchanged},
        tuple(ingested.rejections),
        ingested.notes,
    )
    return index


def open(path: str | Path, *, write: bool = False, settings: Settings | None = None) -> Index:
    """Open an index folder."""
    store = Store.open(Path(path), write=write)
    return Index(Rooms(Path(path), store, settings or store.settings))


def _rooms_for(path: Path, settings: Settings | None) -> Rooms:
    if (path / "ledger.db").exists():
        store = Store.open(path, write=True)
        return Rooms(path, store, settings or store.settings)
    chosen = settings or Settings()
    encoder = load_encoder(chosen.models, threads=chosen.compile.threads)
    store = Store.create(
        path,
        fingerprint=encoder.fingerprint if encoder else NO_MODEL,
        dim=encoder.dim if encoder else 0,
        settings=chosen,
        policy=policy_digest(chosen.mask),
    )
    return Rooms(path, store, chosen)
