"""The open rooms of one index folder, and the epoch of learned parts that a generation carries."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fingerpost.compiler.pool import Warm
from fingerpost.config import Settings
from fingerpost.errors import FingerprintError, UsageError
from fingerpost.index.lagging import Lagging
from fingerpost.index.ranking import Judges
from fingerpost.index.turns import Turns
from fingerpost.models.encoder import EncodedQuery, Encoder, load_encoder
from fingerpost.rerank.codec import Codec
from fingerpost.rerank.cross import CrossEncoder
from fingerpost.rerank.forest import Forest
from fingerpost.retrieve.fuse import BALANCED, SURE_COSINE, Balance
from fingerpost.retrieve.sparse import Postings
from fingerpost.route import describe, plan
from fingerpost.route.confidence import Confidence
from fingerpost.route.deep import artifact, served
from fingerpost.route.deep.artifact import Tuned
from fingerpost.route.deep.served import Generative
from fingerpost.route.drift import Audit
from fingerpost.route.memory import Memory
from fingerpost.route.router import Router
from fingerpost.store.disk import corrupt
from fingerpost.store.snapshot import Snapshot
from fingerpost.store.store import Store

ROUTER, CODEC = "router.safetensors", "codec.safetensors"
MEMORY, FOREST, PLAN, LESSON = "memory.safetensors", "forest.safetensors", "plan.json", "lesson.json"
CONFIDENCE = "confidence.json"
BALANCE = "balance.json"
ADDRESSES, SOURCES = "addresses.json", "sources.json"
QUERIES, DSI = artifact.NAME, served.NAME
SPARSE = "sparse.safetensors"
LEARNED = (MEMORY, FOREST, PLAN, CONFIDENCE, LESSON, BALANCE, QUERIES, DSI)
"""Artifacts that training made: they go on unchanged from fold to fold."""
NO_MODEL = "none"

T = TypeVar("T")


class Progress(Protocol):
    """How far a stage has come; ``total`` is None where nobody knows."""

    def __call__(self, stage: str, done: int, total: int | None, /) -> None: ...


def silent(stage: str, done: int, total: int | None, /) -> None:
    """The progress callback of those who do not look."""


class Shelf(Protocol):
    """What holds a generation's artifacts: a snapshot, or the store's desk."""

    @property
    def generation(self) -> int:
        """Its number."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    @property
    def leaf_offsets(self) -> NDArray[np.int64]:
        """Where the leaves of its sorted rows begin and end: [L + 1]."""
        ...

    def artifact(self, name: str) -> bytes | None:
        """The bytes of an artifact, or None."""
        ...


@dataclass(frozen=True)
class Epoch:
    """What was computed or learned for one generation: the router, who ranks, leaf descriptors, and the query
    encoder and the DSI where they were trained. A router that was not made for the generation's leaves is
    left out, and ``unfit`` says so.
    """

    router: Router | None = None
    judges: Judges = field(default_factory=Judges)
    addresses: list[dict[str, object]] = field(default_factory=list)
    tuned: Tuned | None = None
    dsi: Generative | None = None

    sparse: Postings | None = None
    stranger: bool = False
    unfit: str = ""

    def for_query(self, encoded: EncodedQuery | None) -> Epoch:
        """The epoch as far as it may be believed for a query: without what was learned where the query is
        unlike everything it learned from.
        """
        memory = self.judges.memory
        if encoded is None or memory is None or memory.knows(encoded.vector):
            return self
        judges = Judges(self.judges.codec, balance=replace(self.judges.balance, cosine=SURE_COSINE))
        return replace(self, judges=judges, stranger=True, dsi=None)

    @property
    def names_documents(self) -> bool:
        """Whether something learned names documents by their key."""
        memory = self.judges.memory
        return self.dsi is not None or (memory is not None and bool(len(memory.keys)))

    def renamed(self, successors: Mapping[int, int | None]) -> Epoch:
        """The epoch after documents were replaced or deleted, oldest first."""
        memory, dsi = self.judges.memory, self.dsi
        judges = replace(self.judges, memory=None if memory is None else memory.renamed(successors))
        return replace(self, judges=judges, dsi=None if dsi is None else dsi.renamed(successors))

    @classmethod
    def of(cls, snapshot: Shelf) -> Epoch:
        """Read the artifacts of a snapshot's generation; what it does not have is None."""

        def read(name: str, parse: Callable[[bytes], T]) -> T | None:
            body = snapshot.artifact(name)
            return None if body is None else parsed(name, body, parse)

        forest, tuned = read(FOREST, Forest.from_bytes), read(QUERIES, Tuned.from_bytes)
        balance = read(BALANCE, Balance.from_bytes) or BALANCED
        if tuned is not None and tuned.cosine is not None:
            balance = replace(balance, cosine=tuned.cosine)
        judges = Judges(
            codec=read(CODEC, Codec.from_bytes),
            memory=read(MEMORY, Memory.from_bytes),
            forest=forest,
            plan=read(PLAN, plan.Chooser.from_bytes) or (plan.NEVER if forest else plan.DEFAULT),
            balance=balance,
            confidence=read(CONFIDENCE, Confidence.from_bytes),
        )
        router, addresses = read(ROUTER, Router.from_bytes), read(ADDRESSES, describe.from_json) or []
        dsi = read(DSI, Generative.from_bytes)
        unfit = router.misfit(snapshot.leaf_offsets, snapshot.dim) if router else ""
        sparse = read(SPARSE, Postings.from_bytes)
        return cls(None if unfit else router, judges, addresses, tuned, dsi, sparse, unfit=unfit)


@dataclass
class Rest:
    """Until when (monotonic seconds) a language model that failed is not asked to reason."""

    until: float = 0.0


class Rooms:
    """The store, the encoder (loaded when first needed) and the newest epoch of an open index."""

    def __init__(self, path: Path, store: Store, settings: Settings) -> None:
        self.path, self.store, self.settings = path, store, _as_strict(settings, store.settings)
        self._epoch: tuple[int, Epoch] | None = None
        self._current: tuple[int, int, Epoch] | None = None
        self._asking: tuple[Tuned, Encoder] | None = None
        self._roots: tuple[int, Mapping[str, str]] | None = None
        self._closed = False
        self.audit = Audit()
        self.rest = Rest()
        self.turns = Turns()
        self.lagging = Lagging(path)
        self.reading: Warm | None = None
        """The reading process that stays, once there was an update."""

    def keep_reading(self) -> None:
        """Keep the reading process from now on, until this is closed. Raises UsageError where it was."""
        if self._closed:
            raise UsageError("E_USAGE", f"{self.path} was closed here", cure="open the index again")
        self.reading = self.reading or Warm(self.settings.compile)

    def close(self) -> None:
        """Let go of the folder and of the reading process; safe to call twice."""
        self._closed = True
        if self.reading is not None:
            self.reading.close()
        self.store.close()

    @cached_property
    def encoder(self) -> Encoder | None:
        """The encoder that made the index. Raises FingerprintError when the settings name another one."""
        encoder = load_encoder(self.settings.models, threads=self.settings.compile.threads)
        own = encoder.fingerprint if encoder else NO_MODEL
        if own != self.store.fingerprint:
            raise _stranger(self.path, self.store.fingerprint, own)
        return encoder

    def asking(self, epoch: Epoch) -> Encoder | None:
        """The encoder as an epoch's queries are encoded: with the network trained for them, if there is one.

        Raises FingerprintError where that was trained from another encoder.
        """
        encoder, tuned = self.encoder, epoch.tuned
        if encoder is None or tuned is None:
            return encoder
        if self._asking is None or self._asking[0] is not tuned:
            graph = tuned.checked(encoder.fingerprint).graph
            self._asking = (tuned, encoder.with_queries(graph))
        return self._asking[1]

    @cached_property
    def cross_encoder(self) -> CrossEncoder | None:
        """The cross-encoder that the settings name. Raises ModelError where it cannot be used."""
        folder = self.settings.rerank.cross_encoder
        return CrossEncoder(Path(folder)) if folder else None

    @property
    def roots(self) -> Mapping[str, str]:
        """The folders that were compiled, so that a single file keeps the id its folder gave it."""
        desk = self.store.desk
        if self._roots is None or self._roots[0] != desk.generation:
            kept = desk.artifact(SOURCES)
            self._roots = (desk.generation, {} if kept is None else parsed(SOURCES, kept, mapping))
        return self._roots[1]

    def epoch(self, snapshot: Shelf) -> Epoch:
        """The epoch of a snapshot's (or the desk's) generation, read once."""
        if self._epoch is None or self._epoch[0] != snapshot.generation:
            self._epoch = (snapshot.generation, Epoch.of(snapshot))
        return self._epoch[1]

    def current(self, snapshot: Snapshot) -> Epoch:
        """The epoch of a snapshot, what was learned naming documents by the versions that stand in it."""
        epoch, known = self.epoch(snapshot), self._current
        if not epoch.names_documents:
            return epoch
        if known is None or known[0] != snapshot.generation or known[1] > snapshot.seq:
            known = (snapshot.generation, snapshot.folded_seq, epoch)
        if known[1] < snapshot.seq:
            replaced = snapshot.replaced(known[1])
            known = (known[0], snapshot.seq, known[2].renamed(replaced) if replaced else known[2])
        self._current = known
        return known[2]


def parsed(name: str, body: bytes, parse: Callable[[bytes], T]) -> T:
    """An artifact as what it is. One with the right digest is not always: whoever can write to the folder can
    write the digest too. Raises CorruptError, or what ``parse`` names itself.
    """
    try:
        return parse(body)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise corrupt(name, f"it cannot be read ({type(error).__name__})") from error


def mapping(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises ValueError for what is no JSON, TypeError for anything else."""
    found = json.loads(body)
    if not isinstance(found, dict):
        raise TypeError("no object")
    return found


def _as_strict(settings: Settings, made: Settings) -> Settings:
    """The settings of who opens an index, isolating callers at least as strictly as the index was made to: a
    settings file that happens to lie where a command is run must not lift that.
    """
    if made.store.isolation == settings.store.isolation or made.store.isolation == "shared":
        return settings
    return settings.model_copy(
        update={"store": settings.store.model_copy(update={"isolation": made.store.isolation})}
    )


def _stranger(path: Path, made: str, own: str) -> FingerprintError:
    """What to say where an index was made with other models than the settings name."""
    (encoder, _, late), (own_encoder, _, own_late) = made.partition("+"), own.partition("+")
    if encoder != own_encoder:
        return FingerprintError(
            "E_FINGERPRINT",
            f"{path} was made with model {encoder[:16]}, not {own_encoder[:16]}",
            cure="open it with the model that made it, or compile into a new folder",
        )
    said = [f"late-interaction model {one[:16]}" if one else "the encoder itself" for one in (late, own_late)]
    return FingerprintError(
        "E_FINGERPRINT",
        f"the token vectors of {path} are by {said[0]}, those of queries by {said[1]}: they do not compare",
        cure="set models.late to the folder that made it, as it was then, or compile into a new folder",
    )
