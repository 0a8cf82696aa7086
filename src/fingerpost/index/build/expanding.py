"""The learned sparse leg, where `models.sparse` names a model: chunks at every fold, queries when they come.

Chunks newer than the last fold have no sparse vector yet: the leg says nothing of them. So it does where the
settings name no model, or another one than the index was made with.
"""

from __future__ import annotations

import logging
from functools import partial

import numpy as np

from fingerpost.errors import FingerpostError
from fingerpost.index.epoch import SPARSE
from fingerpost.index.progress import Progress
from fingerpost.index.rooms import Rooms
from fingerpost.models.splade import SparseEncoder, load_sparse
from fingerpost.retrieve.legs import NO_KEYS, NO_SCORES, Keys, Scores
from fingerpost.retrieve.sparse import Postings, Row
from fingerpost.spread import side_by_side

log = logging.getLogger(__name__)

PASSAGE_TERMS, QUERY_TERMS = 192, 64
KEPT_EVERY = 5_000
"""Chunks after which what is done is published, so that a run that is interrupted goes on from there."""
BATCH = 64


def lacking(rooms: Rooms) -> bool:
    """Whether a model is named and some chunk has no postings by it."""
    encoder = load_sparse(rooms.settings.models.sparse)
    if encoder is None:
        return False
    known = _known(rooms)
    if known is None or known.fingerprint != encoder.fingerprint:
        return True
    return bool(len(np.setdiff1d(rooms.store.live().keys, known.keys)))


def artifacts(rooms: Rooms, keys: Keys, progress: Progress) -> dict[str, bytes]:
    """The postings of these chunks, those that are known taken over; nothing where no model is named."""
    encoder = load_sparse(rooms.settings.models.sparse)
    if encoder is None:
        return {}
    known = _known(rooms)
    held, rows = NO_KEYS, list[Row]()
    if known is not None and known.fingerprint == encoder.fingerprint:
        held, rows = known.only(keys)
    missing = np.setdiff1d(keys, held)
    for at in range(0, len(missing), BATCH):
        part = missing[at : at + BATCH]
        passages = [chunk.passage for chunk in rooms.store.desk.chunks(part)]
        rows += side_by_side(partial(_row, encoder), passages, rooms.threads)
        progress("expand", at + len(part), len(missing))
        if (at + BATCH) // KEPT_EVERY > at // KEPT_EVERY and rooms.store.desk.generation:
            done = np.concatenate([held, missing[: at + len(part)]])
            rooms.store.republish({SPARSE: _postings(encoder, done, rows).to_bytes()})
    return {SPARSE: _postings(encoder, np.concatenate([held, missing]), rows).to_bytes()}


def scores(rooms: Rooms, postings: Postings | None, text: str) -> tuple[Keys, Scores, str]:
    """Every chunk of the postings with the query's score; where the leg is asked for and cannot speak, none,
    and why.
    """
    folder = rooms.settings.models.sparse
    if not folder:
        return NO_KEYS, NO_SCORES, ""
    if postings is None:
        return _without("the index has no weights by models.sparse, compile again")
    try:
        encoder = load_sparse(folder)
        if encoder is None or encoder.fingerprint != postings.fingerprint:
            return _without("models.sparse is not the model that made the index's weights")
        asked = encoder.encode(text, most=QUERY_TERMS)
    except FingerpostError as error:
        log.warning("searched without the sparse leg: %s", error)
        return _without(f"models.sparse cannot be used ({error.code})")
    return postings.keys, postings.score(asked.terms, asked.weights), ""


def _without(why: str) -> tuple[Keys, Scores, str]:
    return NO_KEYS, NO_SCORES, f"no sparse leg: {why}"


def _known(rooms: Rooms) -> Postings | None:
    return rooms.epoch(rooms.store.desk).sparse


def _postings(encoder: SparseEncoder, keys: Keys, rows: list[Row]) -> Postings:
    return Postings.build(keys, rows, vocabulary=encoder.vocabulary, fingerprint=encoder.fingerprint)


def _row(encoder: SparseEncoder, text: str) -> Row:
    found = encoder.encode(text, most=PASSAGE_TERMS)
    return found.terms, found.weights
