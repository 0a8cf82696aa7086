"""Answering: search, then ground what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import CorruptError
from fingerpost.ground import answer as grounding
from fingerpost.ground.pack import pack
from fingerpost.ground.prompted import Limits, prompted
from fingerpost.ground.support import Meaning
from fingerpost.ground.verify import verify
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import searching
from fingerpost.index.search.found import Found, Request
from fingerpost.index.search.spans import spans_of
from fingerpost.models.llm import load_llm
from fingerpost.observe.trace import Recorder
from fingerpost.records import Answer, Span

CONTEXT_WORDS = 1_500
"""Words of evidence that a language model is given: small models lose what is in the middle of more."""
INSTRUCTIONS = 400
"""Tokens of a prompt beside evidence and reply."""
TOKENS_A_WORD = 2
"""With room for languages that tokenizers cut finer than English (1.4)."""


def ask(rooms: Rooms, request: Request) -> Answer:
    """An answer from the evidence, every citation checked against the store before it is returned."""
    found = searching.find(rooms, request)
    recorder = Recorder()
    with recorder.stage("ground") as stage:
        answer = unsure(rooms, found, request) or grounded(rooms, found, evidence(rooms, found))
        faults = verify(answer, lambda doc_id: found.snapshot.document(doc_id, allow=found.allow).text)
        if (
            faults
        ):  # an extractive answer is verbatim by construction: a fault means that the store is not whole
            raise CorruptError(
                "E_CORRUPT",
                f"a citation does not verify: {faults[0].message}",
                cure="run `fingerpost doctor`",
            )
        quotes = float(len(answer.citations))
        stage.counts.update(quotes=quotes, verified=quotes, refused=float(answer.refused))
    return replace(answer, trace=searching.extended(found.trace, recorder))


def unsure(rooms: Rooms, found: Found, request: Request) -> Answer | None:
    """A refusal where nothing may be seen, or the first result is right with less chance than
    ``ground.confidence`` asks for.
    """
    unseen = searching.unseen(found.snapshot, found.allow, request)
    if unseen:
        return grounding.refusal(found.asked.query, unseen)
    chance, least = found.trace.confidence, rooms.settings.ground.confidence
    if chance is None or chance >= least:
        return None
    reason = f"the first result is right with a chance of {chance:.0%}; ground.confidence wants {least:.0%}"
    return grounding.refusal(found.asked.query, reason)


def evidence(rooms: Rooms, found: Found) -> list[Span]:
    """The spans that an answer may draw on."""
    return spans_of(found, k=rooms.settings.ground.spans, settings=rooms.settings)


def grounded(rooms: Rooms, found: Found, spans: Sequence[Span]) -> Answer:
    """What is answered from these spans, not verified yet: a replay may give it others than were found."""
    extracted = grounding.extract(
        found.asked.query,
        spans,
        settings=rooms.settings.ground,
        idf=lambda term: float(found.snapshot.idf([term])[0]),
        meaning=_meaning(rooms, found),
    )
    return _written(rooms, found.asked.query.text, spans, extracted)


def _written(rooms: Rooms, question: str, spans: Sequence[Span], extracted: Answer) -> Answer:
    """What the configured language model makes of the evidence; the extractive answer without one."""
    llm = load_llm(rooms.settings.llm, rooms.answers)
    if llm is None:
        return extracted
    limits = Limits(seconds=rooms.settings.llm.timeout_seconds)
    room = rooms.settings.llm.context_tokens - limits.tokens - INSTRUCTIONS
    with llm:
        words = min(CONTEXT_WORDS, room // TOKENS_A_WORD)
        evidence = pack(spans, budget=words, count=lambda text: len(text.split()))
        return prompted(question, evidence, llm=llm, extractive=lambda: extracted, limits=limits)


def _meaning(rooms: Rooms, found: Found) -> Meaning | None:
    encoder = rooms.encoder
    if encoder is None or found.asked.encoded is None:
        return None

    def encode(sentences: Sequence[str]) -> NDArray[np.float32]:
        return encoder.encode_passages(sentences).vectors

    return Meaning(found.asked.encoded.vector, encode)
