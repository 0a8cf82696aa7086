"""The epoch: what was computed or learned for one generation, read from its artifacts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fingerpost.models.encoder import EncodedQuery
from fingerpost.rerank.codec import Codec
from fingerpost.rerank.forest import Forest
from fingerpost.retrieve import fuse
from fingerpost.retrieve.fuse import BALANCED, SURE_COSINE, Balance
from fingerpost.retrieve.sparse import Postings
from fingerpost.route import describe, plan
from fingerpost.route.confidence import Confidence
from fingerpost.route.deep import artifact, served
from fingerpost.route.deep.artifact import Tuned
from fingerpost.route.deep.served import Generative
from fingerpost.route.memory import Memory
from fingerpost.route.router import Router
from fingerpost.store.disk import corrupt

ROUTER, CODEC = "router.safetensors", "codec.safetensors"
MEMORY, FOREST, PLAN, LESSON = "memory.safetensors", "forest.safetensors", "plan.json", "lesson.json"
CONFIDENCE = "confidence.json"
BALANCE = "balance.json"
ADDRESSES, SOURCES = "addresses.json", "sources.json"
QUERIES, DSI = artifact.NAME, served.NAME
SPARSE = "sparse.safetensors"
LEARNED = (MEMORY, FOREST, PLAN, CONFIDENCE, LESSON, BALANCE, QUERIES, DSI)
"""Artifacts that training made: they go on unchanged from fold to fold."""

T = TypeVar("T")


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


@dataclass(frozen=True, slots=True)
class Judges:
    """Who ranks: the token codec, the docid memory and the forest, as far as an epoch has them, the plan
    that says when late interaction and reading are worth it, the dials of the untrained sum, and how far to
    believe the forest.
    """

    codec: Codec | None = None
    memory: Memory | None = None
    forest: Forest | None = None
    plan: plan.Plan = plan.DEFAULT
    balance: fuse.Balance = fuse.BALANCED
    confidence: Confidence | None = None


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
    audited: str = ""
    """What audits of its router are kept under: they begin anew when something is learned."""

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
            plan=read(PLAN, plan.Plan.from_bytes) or (plan.NEVER if forest else plan.DEFAULT),
            balance=balance,
            confidence=read(CONFIDENCE, Confidence.from_bytes),
        )
        router, addresses = read(ROUTER, Router.from_bytes), read(ADDRESSES, describe.from_json) or []
        dsi = read(DSI, Generative.from_bytes)
        unfit = router.misfit(snapshot.leaf_offsets, snapshot.dim) if router else ""
        sparse = read(SPARSE, Postings.from_bytes)
        taught = router.taught if router else b""
        lesson = blake2b(snapshot.artifact(LESSON) or b"", digest_size=8, key=taught).hexdigest()
        return cls(
            None if unfit else router, judges, addresses, tuned, dsi, sparse, unfit=unfit, audited=lesson
        )


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
