"""Reasoning before retrieval: a language model says the question in other words, and the rankings are joined.

    rewrite        the question in the words that a document would use
    decompose      the smaller questions that it consists of
    hypothetical   a passage that would answer it (HyDE, Gao et al. 2023, doi:10.18653/v1/2023.acl-long.99)

The question is always searched as it is, and its own ranking keeps half of the say: whatever the model does –
late, down, nonsense – the search stands, and the trace's stage ``reason`` tells what was asked and used.
Replies are text to search with and nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fingerpost.config import Settings
from fingerpost.errors import FingerpostError
from fingerpost.index.search.ranking import Ranked, Reading
from fingerpost.models.llm import listed, load_llm
from fingerpost.models.rest import unasked
from fingerpost.observe.trace import Draft, Recorder
from fingerpost.records import Candidates
from fingerpost.rerank import matches
from fingerpost.retrieve import fuse
from fingerpost.text import query as queries

if TYPE_CHECKING:
    from fingerpost.index.rooms import Rooms
    from fingerpost.index.search.found import Found

TiesOf = Callable[[NDArray[np.int64]], NDArray[np.uint64]]

log = logging.getLogger(__name__)

MAX_QUESTION_CHARS = 4_000
MAX_VARIANT_CHARS = 2_000
MAX_REPLY_CHARS = 65_536
LEAST_COSINE = 0.2
"""A variant less like the question than this is about something else."""
SHOWN = 60
FREE = "hypothetical"
"""Asked for as text, not as JSON: a passage needs no form, and small models keep none."""

_TASKS: Mapping[str, str] = {
    "rewrite": "Rewrite the question {count} times as a search query, in the words that a document answering "
    "it would use. Keep every name, number, identifier and error code as it is.",
    "decompose": "Split the question into at most {count} simpler questions whose answers together answer "
    "it. Keep every name, number, identifier and error code as it is.",
    "hypothetical": "Write a short passage of documentation or of an article that would answer the question, "
    "as if copied from it. Reply with the passage and nothing else.",
}
_FORM = ' Do not answer in any other way. Reply with one JSON object and nothing else: {"queries": ["…"]}'


def widened(rooms: Rooms, found: Found, search: Callable[[str, bool], Found]) -> Found:
    """``found`` with the rankings of what the language model makes of its question joined in.

    ``search(text, hypothetical)`` searches the same snapshot with the same rights. Never raises for the
    model's sake: ``found`` as it is, and the trace says why.
    """
    recorder = Recorder()
    with recorder.stage("reason") as stage:
        variants = _variants(rooms, found, search, stage)
    stages = (*found.trace.stages, *recorder.trace("", generation=0).stages)
    plan = replace(found.plan, rewrite=bool(variants))
    trace = replace(found.trace, stages=stages, plan=plan, confidence=None)
    ranked = found.ranked
    if variants:
        ranked = joined(ranked, [variant.ranked for variant in variants], found.snapshot.ties)
    return replace(found, ranked=ranked, plan=plan, trace=trace)


def messages(question: str, settings: Settings) -> list[dict[str, str]]:
    """The prompt for the way of reasoning that the settings name."""
    task = _TASKS[settings.retrieve.reason].format(count=settings.retrieve.reason_queries)
    form = "" if settings.retrieve.reason == FREE else _FORM
    return [
        {"role": "system", "content": task + form},
        {"role": "user", "content": question[:MAX_QUESTION_CHARS]},
    ]


def schema(settings: Settings) -> dict[str, object] | None:
    """The form of the reply, for servers that can hold a model to it; None where it is free text."""
    if settings.retrieve.reason == FREE:
        return None
    texts = {"type": "array", "items": {"type": "string"}, "maxItems": settings.retrieve.reason_queries}
    form = {"type": "object", "properties": {"queries": texts}, "required": ["queries"]}
    return {**form, "additionalProperties": False}


def parse(reply: str, *, most: int, free: bool = False) -> list[str]:
    """The texts of a reply, at most ``most``, without repeats, each cut to 2,000 characters.

    Raises ValueError for anything but the JSON asked for, alone or inside other text; a ``free`` reply that
    is no JSON is one text.

    >>> parse('Sure! {"queries": ["rotate signing key", "", "rotate signing key"]}', most=3)
    ['rotate signing key']
    >>> parse("Signing keys are rotated with `keys rotate`.", most=1, free=True)
    ['Signing keys are rotated with `keys rotate`.']
    """
    if len(reply) > MAX_REPLY_CHARS:
        raise ValueError(f"a reply of {len(reply):,} characters, more than {MAX_REPLY_CHARS:,}")
    if free and '"queries"' not in reply:
        return list(filter(None, [reply[:MAX_VARIANT_CHARS].strip()]))
    given = listed(reply, "queries")
    texts = [text[:MAX_VARIANT_CHARS].strip() for text in given if isinstance(text, str)]
    return list(dict.fromkeys(filter(None, texts)))[:most]


def joined(question: Ranked, variants: Sequence[Ranked], ties: TiesOf) -> Ranked:
    """One ranking by reciprocal ranks, in which the question's own weighs as much as all variants together;
    equal scores in the order of the chunks' ties.

    Explained as any untrained sum: ``question`` and ``variant 1`` … are its factors.
    """
    named = {"question": question, **{f"variant {at}": one for at, one in enumerate(variants, start=1)}}
    candidates = _union(named, ties)
    reciprocal = fuse.rrf(candidates.scores)
    weights = dict.fromkeys(named, 1.0) | {"question": float(len(variants))}
    total = np.zeros(len(candidates.keys))
    for name, factor in reciprocal.factors.items():
        total += weights[name] * factor
    fused = fuse.Fused(total, reciprocal.factors, {name: weights[name] for name in reciprocal.factors})
    read = _read(list(named.values()), candidates.keys)
    return Ranked(candidates, fused, total, np.zeros(len(total)), read)


def _variants(rooms: Rooms, found: Found, search: Callable[[str, bool], Found], stage: Draft) -> list[Found]:
    """The searches for what the model wrote, as far as that can be used; counts and the note say the rest."""
    settings, question = rooms.settings, found.asked.query
    if found.asked.only_names:
        stage.note = "not asked: nothing but identifiers"
        return []
    texts = _asked(rooms, question.text, stage)
    searched, shown = [], []
    for text in texts:
        try:
            queries.parse(text)
        except FingerpostError as error:
            shown.append(f"left out ({error.code})")
            continue
        variant = search(text, settings.retrieve.reason == "hypothetical")
        if _foreign(found, variant):
            shown.append(f"left out, about something else: {_short(text)!r}")
            continue
        searched.append(variant)
        shown.append(repr(_short(text)))
    stage.counts["variants"] = float(len(searched))
    stage.note = " · ".join(filter(None, (stage.note, *shown)))
    return searched


def _asked(rooms: Rooms, question: str, stage: Draft) -> list[str]:
    """What the model wrote; nothing, and a note, where it cannot be asked or fails."""
    settings, limits = rooms.settings, rooms.settings.retrieve
    if not settings.llm.url:
        stage.note = f"{limits.reason} needs llm.url: searched as asked"
        return []
    try:
        llm = load_llm(settings.llm, rooms.reasons)
        assert llm is not None
        with llm:
            stage.counts["calls"] = 1.0
            reply = llm.complete(
                messages(question, settings),
                max_tokens=limits.reason_tokens,
                timeout=limits.reason_seconds,
                schema=schema(settings),
            )
        texts = parse(reply, most=limits.reason_queries, free=limits.reason == FREE)
    except (FingerpostError, ValueError, OSError) as error:
        if why := unasked(error):
            stage.counts["calls"] = 0.0
        else:
            log.warning("searched without reasoning: %s", error)
            reason = error.code if isinstance(error, FingerpostError) else _short(str(error))
            why = f"the language model failed ({reason})"
        stage.note = f"{why}: searched as asked"
        return []
    new = [text for text in texts if text.casefold() != question.casefold()]
    nothing = "said it again" if texts else "wrote nothing"
    stage.note = limits.reason if new else f"{limits.reason}: the model {nothing}, searched as asked"
    return new


def _foreign(found: Found, variant: Found) -> bool:
    """Whether a variant is about something else than the question, by meaning or else by words."""
    one, other = found.asked, variant.asked
    if one.encoded is None or other.encoded is None:
        return not set(one.query.terms) & set(other.query.terms)
    return float(one.encoded.vector @ other.encoded.vector) < LEAST_COSINE


def _union(named: Mapping[str, Ranked], ties: TiesOf) -> Candidates:
    """All candidates, each with its score in every ranking (NaN where it is not in it)."""
    keys, first = np.unique(
        np.concatenate([one.candidates.keys for one in named.values()]), return_index=True
    )
    order = np.argsort(ties(keys), kind="stable")
    keys, first = keys[order], first[order]
    docs = np.concatenate([one.candidates.docs for one in named.values()])[first]
    scores: dict[str, NDArray[np.float32]] = {}
    for name, one in named.items():
        scores[name] = np.full(len(keys), np.nan, np.float32)
        scores[name][_places(keys, one.candidates.keys)] = one.scores
    return Candidates(keys, docs, scores)


def _places(keys: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.intp]:
    """Where each of ``wanted`` stands among ``keys``."""
    order = np.argsort(keys)
    return order[np.searchsorted(keys, wanted, sorter=order)]


def _read(rankings: Sequence[Ranked], keys: NDArray[np.int64]) -> Reading:
    """What was read for any of the rankings; words are compared with the question's only."""
    chunks = {key: chunk for one in reversed(rankings) for key, chunk in one.read.chunks.items()}
    question = rankings[0]
    at = _places(keys, question.candidates.keys)
    words = np.full((len(keys), len(matches.NAMES)), np.nan, np.float32)
    words[at] = question.read.words
    passages = dict(zip(at.tolist(), question.read.passages, strict=True))
    return Reading([passages.get(place) for place in range(len(keys))], question.read.idf, chunks, words)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"
