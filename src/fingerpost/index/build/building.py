"""Compiling: read → mask → chunk → ledger, then encode what has no vector, then fold into a generation.

Each step is resumable on its own: documents whose content the ledger holds are left alone, chunks that
have a vector are not encoded again, and a generation is published whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fingerpost.compiler import chunk, pairs, prepare, read
from fingerpost.errors import FingerprintError, InputError
from fingerpost.index.build import expanding
from fingerpost.index.build.encoding import Encoding
from fingerpost.index.build.situating import Announce, situating, unsaid
from fingerpost.index.epoch import ADDRESSES, CODEC, DSI, LEARNED, MEMORY, ROUTER, SOURCES
from fingerpost.index.lagging import Write
from fingerpost.index.progress import Progress
from fingerpost.index.rooms import Rooms
from fingerpost.models.encoder import Encoder
from fingerpost.records import Chunk, Document, Rejection
from fingerpost.rerank.codec import FINE, SMALL, Codec
from fingerpost.route import address, describe, graph
from fingerpost.route.address import Addresses
from fingerpost.route.deep.served import Generative
from fingerpost.route.memory import Memory
from fingerpost.route.router import Router
from fingerpost.store.access import FIRST
from fingerpost.store.codec import refusal
from fingerpost.store.live import Standing
from fingerpost.store.publish import Layout

BATCH_DOCUMENTS = 128
BATCH_CHUNKS = 512
FIRST_DOCUMENTS = 8
"""Documents of the first batch, each further one twice as large: so encoding begins at once."""
ENCODED_CHUNKS = 64
"""Chunks whose vectors are written together: when the last are encoded few are left to write."""
CODEC_SAMPLE = 2_000
"""Passages whose tokens train the codec; twice as many changed no ranking."""
Pause = Callable[[], object]
FORMS = {"small": SMALL, "fine": FINE}
"""What ``store.token_codes`` names."""
REGRAPH = 0.1
"""Share of new chunks from which the neighbour graph is made anew: by then that costs no more."""
VECTORS_AT_ONCE, CHUNKS_AT_ONCE = 4_096, 64
"""What a fold reads between two queries: some 5 ms."""
DESCRIBED = 24
"""Chunks a leaf's descriptor is made from."""
REGROW = 2.0
"""When the index has grown by this factor since its addresses were laid out, they are laid out anew."""


@dataclass
class Ingested:
    """What reading did."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    doc_ids: list[str] = field(default_factory=list)
    files: set[str] = field(default_factory=set)
    """Paths of files that hold documents with ids of their own."""
    writes: list[Write] = field(default_factory=list)
    began: float = 0.0
    """When reading what is written next began, in steady seconds of the clock."""
    rejections: list[Rejection] = field(default_factory=list)
    ahead: Encoding | None = None
    """What is written may begin to be encoded here."""
    notes: tuple[str, ...] = ()
    roots: Mapping[str, str] = field(default_factory=dict)


def ingest(
    rooms: Rooms,
    paths: Sequence[str | Path],
    progress: Progress,
    announce: Announce = unsaid,
    ahead: Encoding | None = None,
) -> Ingested:
    """Read the sources into the ledger, in batches that are each one transaction; one document at a time
    where a language model situates its chunks. What that will cost is announced first. ``ahead`` encodes
    while the next batch is read, which is why the first ones are small.
    """
    _check_made_so(rooms)
    done = Ingested(ahead=ahead, began=rooms.clock.steady())
    hidden = rooms.store.desk.hides_unlabelled

    def sources() -> read.Sources:
        return read.sources(paths, rooms.settings, known_roots=rooms.roots, warm=rooms.reading)

    with situating(rooms, lambda: _chunked(rooms, sources(), Ingested()), progress, announce) as run:
        items = sources()
        cut = _chunked(rooms, items, done)
        if run is not None:
            cut = ((document, run.chunks(document, chunks)) for document, chunks in cut)
        for batch in _batches(cut, first=FIRST_DOCUMENTS, most=BATCH_DOCUMENTS if run is None else 1):
            put(rooms, batch, done)
            progress("read", len(done.doc_ids), None)
            done.began = rooms.clock.steady()
            if run is not None:
                run.written()
        first: tuple[str, ...] = () if hidden or not rooms.store.desk.hides_unlabelled else (FIRST,)
        first += tuple(filter(None, (rooms.store.desk.unheeded,)))
        done.notes, done.roots = (*items.notes, *(run.notes() if run else ()), *first), items.roots
    return done


def _check_made_so(rooms: Rooms) -> None:
    """What an index was made with holds for all of its chunks: other settings would mix two kinds of them.
    Raises FingerprintError.
    """
    made, given = rooms.store.settings, rooms.settings
    for name, was, wish in (
        ("compile.context", made.compile.context, given.compile.context),
        ("store.late", made.store.late, given.store.late),
        ("store.token_codes", _coded(rooms), given.store.token_codes),
    ):
        if was is not None and was != wish:
            raise FingerprintError(
                "E_FINGERPRINT",
                f"{rooms.path} was made with {name} = {str(was).lower()}, not {str(wish).lower()}",
                cure=f"set {name} as it was, or compile into a new folder",
            )


def _coded(rooms: Rooms) -> str | None:
    """What ``store.token_codes`` was when the codec of an index was trained; None where it has none. To keep
    token vectors more finely, or less, all of the text would have to be encoded again.
    """
    codec = rooms.epoch(rooms.store.desk).judges.codec
    return None if codec is None else "fine" if codec.fits(FINE) else "small"


def put(rooms: Rooms, batch: Sequence[tuple[Document, list[Chunk]]], done: Ingested) -> None:
    """Write documents with their chunks and the training pairs that they themselves suggest.

    A document that the store refuses is reported; the others are taken in.
    """
    try:
        rooms.turns.give_way()
        suggested = (pair for document, chunks in batch for pair in pairs.from_document(document, chunks))
        result = rooms.store.put(batch, suggested, instead_of=tuple(pairs.WEIGHTS))
    except InputError:
        refused = {at: error for at, item in enumerate(batch) if (error := refusal(*item)) is not None}
        if not refused:
            raise
        for at, error in refused.items():
            source = f"{batch[at][0].metadata.get('path', '')} {error.detail}".strip()
            done.rejections.append(Rejection(source, error.code, error.message, error.cure))
        put(rooms, [item for at, item in enumerate(batch) if at not in refused], done)
        return
    if done.ahead is not None:
        done.ahead.add(zip(result.keys.tolist(), result.passages, strict=True))
    done.added += result.added
    done.updated += result.updated
    done.unchanged += result.unchanged
    done.doc_ids += [document.doc_id for document, _ in batch]
    paths = ((document.doc_id, str(document.metadata.get("path", ""))) for document, _ in batch)
    done.files |= {path for doc_id, path in paths if path and path != doc_id}
    if result.added or result.updated:
        done.writes.append(Write(result.seq, result.added + result.updated, done.began, rooms.clock.steady()))


def encode(rooms: Rooms, progress: Progress, ahead: Encoding | None = None) -> int:
    """Give every standing chunk that lacks one its vector (and token codes); returns how many. ``ahead`` has
    begun with some.
    """
    encoder, total = rooms.encoder, rooms.store.desk.n_missing
    if encoder is None or not total:
        return 0
    codec = _codec(rooms, progress)
    left = total
    with (
        nullcontext(ahead)
        if ahead and ahead.codec is codec
        else Encoding(encoder, codec, rooms.turns) as work
    ):
        while left:
            if len(work.keys) < min(left, BATCH_CHUNKS):  # what is written next is encoded meanwhile
                work.add(rooms.store.missing_vectors(2 * BATCH_CHUNKS, apart=work.keys))
            coded = work.take(ENCODED_CHUNKS)
            rooms.turns.give_way()
            rooms.store.put_vectors(*coded)
            taken = len(coded.keys)  # some of them for nothing, where their documents are gone by now
            left = left - taken if 0 < taken < left else rooms.store.desk.n_missing
            progress("encode", total - left, total)
    return total


@contextmanager
def encoding(rooms: Rooms) -> Iterator[Encoding | None]:
    """What encodes while a caller reads; None without a model, and before there is a token codec: that is
    trained on a sample of everything.
    """
    encoder = rooms.encoder
    codec = rooms.epoch(rooms.store.desk).judges.codec if encoder and rooms.settings.store.late else None
    if encoder is None or (codec is None and rooms.settings.store.late):
        yield None
        return
    with Encoding(encoder, codec, rooms.turns) as ahead:
        yield ahead


def fold(
    rooms: Rooms,
    progress: Progress,
    *,
    roots: Mapping[str, str] | None = None,
    pause: Pause | None = None,
) -> int:
    """Lay every standing chunk out by address and publish the next generation; returns its number. What is
    written meanwhile stays in the tail. Waits for whoever else publishes. ``pause`` is called before each
    part that is read; by itself it lets queries by.
    """
    with rooms.store.folding():
        sources = {SOURCES: _dump(roots if roots is not None else rooms.roots)}
        standing = rooms.store.live(encoded=True)
        generation = _fold(rooms, progress, standing, sources, pause or rooms.turns.give_way)
    rooms.beside.mended()
    return generation


def _fold(
    rooms: Rooms, progress: Progress, standing: Standing, sources: dict[str, bytes], pause: Pause
) -> int:
    """Publish what stood at one seq: nothing here may depend on what came since."""
    artifacts = dict(sources)
    artifacts |= expanding.artifacts(rooms, standing.keys, progress)
    if not rooms.store.dim:
        offsets = np.array([0, len(standing.keys)], dtype=np.int64)
        layout = Layout(standing.keys, offsets, standing.seq, artifacts=artifacts)
        return rooms.store.publish(layout, between=pause)
    progress("address", 0, len(standing.keys))
    vectors = np.empty((len(standing.keys), rooms.store.dim), dtype=np.float16)
    for part in _in_turn(pause, len(vectors), VECTORS_AT_ONCE):
        vectors[part] = rooms.store.vectors(standing.keys[part])
    laid = _lay_out(rooms, standing.keys, vectors)
    keys, rows = standing.keys[laid.order], vectors[laid.order]
    router = _router(rooms, rows, laid)
    near = None
    if len(keys) >= rooms.settings.route.full_below:
        near = _neighbours(rooms, keys, rows, laid.leaf_offsets)
    progress("address", len(vectors), len(vectors))
    artifacts |= {ROUTER: router.to_bytes(), ADDRESSES: _described(rooms, keys, laid, pause)}
    artifacts |= _carried(rooms, standing)
    progress("publish", 0, 1)
    layout = Layout(keys, laid.leaf_offsets, standing.seq, graph=near, artifacts=artifacts)
    generation = rooms.store.publish(layout, between=pause)
    rooms.lagging.routed(standing.seq)
    progress("publish", 1, 1)
    return generation


def _chunked(
    rooms: Rooms, items: Iterable[Document | Rejection], done: Ingested
) -> Iterator[tuple[Document, list[Chunk]]]:
    for item in items:
        if isinstance(item, Rejection):
            done.rejections.append(item)
            continue
        rooms.turns.give_way()
        document = prepare(item, rooms.settings)
        yield document, chunk.split(document, count=rooms.encoder, settings=rooms.settings)


def _batches(
    items: Iterable[tuple[Document, list[Chunk]]], *, first: int, most: int
) -> Iterator[list[tuple[Document, list[Chunk]]]]:
    batch: list[tuple[Document, list[Chunk]]] = []
    chunks, size = 0, min(first, most)
    for item in items:
        batch.append(item)
        chunks += len(item[1])
        if len(batch) >= size or chunks >= BATCH_CHUNKS:
            yield batch
            batch, chunks, size = [], 0, min(2 * size, most)
    if batch:
        yield batch


def _codec(rooms: Rooms, progress: Progress) -> Codec | None:
    """The index's token codec. The first time it is trained on a sample, and published before it is used, so
    that a build that is interrupted goes on with the same one.
    """
    encoder = rooms.encoder
    if encoder is None or not rooms.settings.store.late:
        return None
    known = rooms.epoch(rooms.store.desk).judges.codec
    if known is not None:
        return known
    with rooms.store.folding():  # nobody publishes an epoch without it meanwhile
        return rooms.epoch(rooms.store.desk).judges.codec or _trained(rooms, encoder, progress)


def _trained(rooms: Rooms, encoder: Encoder, progress: Progress) -> Codec:
    keys = rooms.store.live().keys
    sample = keys[np.unique(np.linspace(0, len(keys) - 1, min(CODEC_SAMPLE, len(keys))).astype(np.int64))]
    passages = [found.passage for found in rooms.store.desk.chunks(sample)]
    encoded = encoder.encode_passages(
        passages, tokens=True, progress=lambda done, total: progress("train codec", done, total)
    )
    form, seed = FORMS[rooms.settings.store.token_codes], rooms.settings.compile.seed
    codec = Codec.train(encoded.tokens, encoded.token_ids, seed=seed, form=form)
    rooms.store.republish({CODEC: codec.to_bytes()})
    rooms.store.put_vectors(sample, encoded.vectors, codec.encode(encoded.tokens, encoded.token_ids))
    return codec


def _lay_out(rooms: Rooms, keys: NDArray[np.int64], vectors: NDArray[np.float16]) -> Addresses:
    """New addresses, or the old ones with what came and went."""
    desk = rooms.store.desk
    router = rooms.epoch(desk).router
    aim, seed = rooms.settings.route.leaf_chunks, rooms.settings.compile.seed
    if router is None or len(keys) > REGROW * max(int(router.statistics.counts.sum()), 2 * aim):
        return address.build(vectors, leaf_chunks=aim, seed=seed)
    return address.refold(
        vectors,
        desk.leaf_of(keys),
        addresses=router.addresses,
        centroids=router.statistics.mean,
        leaf_chunks=aim,
    )


def _router(rooms: Rooms, rows: NDArray[np.float16], laid: Addresses) -> Router:
    known = rooms.epoch(rooms.store.desk).router
    if known is None:
        return Router.fit_statistics(rows, laid.leaf_offsets, addresses=laid.addresses)
    return known.refolded(rows, laid.leaf_offsets, addresses=laid.addresses)


def _neighbours(
    rooms: Rooms, keys: NDArray[np.int64], rows: NDArray[np.float16], leaf_offsets: NDArray[np.integer]
) -> NDArray[np.int32]:
    """The neighbour graph with what came and went, or made anew where much came."""
    held = rooms.store.desk.graph_of(keys)
    if held is None or (held[1] < 0).mean() > REGRAPH:
        return graph.neighbours(rows, leaf_offsets)
    known, old_rows = held
    return graph.update(known, rows, leaf_offsets, old_rows=old_rows)


def _described(rooms: Rooms, keys: NDArray[np.int64], laid: Addresses, pause: Pause) -> bytes:
    """What each leaf is about, from some of its chunks."""
    leaves, rows = describe.drawn(keys, laid.leaf_offsets, DESCRIBED)
    picked = keys[rows].tolist()
    parts = _in_turn(pause, len(picked), CHUNKS_AT_ONCE)
    chunks = (found for part in parts for found in rooms.store.desk.chunks(picked[part]))
    rows_of = ((leaf, found.text, found.title) for leaf, found in zip(leaves.tolist(), chunks, strict=True))
    sizes = np.diff(laid.leaf_offsets).tolist()
    return describe.to_json(describe.descriptors(rows_of, addresses=laid.addresses, sizes=sizes))


def _in_turn(pause: Pause, count: int, at_once: int) -> Iterator[slice]:
    """``count`` things in parts, queries before each: reading a part keeps them from the store."""
    for at in range(0, count, at_once):
        pause()
        yield slice(at, at + at_once)


def _carried(rooms: Rooms, standing: Standing) -> dict[str, bytes]:
    """What was trained goes on from generation to generation. Memory and DSI follow their documents to the
    versions that stood then, and forget those that had been deleted.
    """
    desk = rooms.store.desk
    replaced = desk.replaced(standing.seq)
    found = {name: body for name in (CODEC, *LEARNED) if (body := desk.artifact(name)) is not None}
    if MEMORY in found:
        memory = Memory.from_bytes(found[MEMORY])
        now = memory.renamed(replaced).only(standing.docs)
        if not np.array_equal(now.keys, memory.keys):
            found[MEMORY] = now.to_bytes()
    if DSI in found and replaced:
        found[DSI] = Generative.from_bytes(found[DSI]).renamed(replaced).to_bytes()
    return found


def _dump(value: Mapping[str, str]) -> bytes:
    return json.dumps(dict(value), sort_keys=True, ensure_ascii=False).encode()
