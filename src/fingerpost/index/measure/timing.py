"""Timing: milliseconds of each stage of a search, and of each way of searching, on the same questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np

from fingerpost.evaluate.page import Latency
from fingerpost.index.measure import advising
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import listing
from fingerpost.index.search.found import Request
from fingerpost.index.search.listing import Run
from fingerpost.records import Trace


def timed(rooms: Rooms, trace: Callable[[Request], Trace], asked: Sequence[Request]) -> Latency:
    """Every question once by each way, the ways taking turns; the first question is asked twice and counted
    once, since it pays for what is loaded when first needed.
    """
    stages: dict[str, list[float]] = {}
    legs: dict[str, list[float]] = {}
    chunks, scored = 0.0, []
    for warm, request in [(True, each) for each in asked[:1]] + [(False, each) for each in asked]:
        found = trace(request)
        took = {name: _ms(way, rooms, request) for name, way in _ways(rooms).items()}
        if warm:
            continue
        for stage in found.stages:
            stages.setdefault(stage.name, []).append(stage.ms)
            chunks = stage.counts.get("chunks", chunks)
            scored += [stage.counts["scored"]] if "scored" in stage.counts else []
        for name, ms in took.items():
            legs.setdefault(name, []).append(ms)
    share = float(np.mean(scored)) / chunks if chunks and scored else None
    return Latency(_arrays(stages), _arrays(legs), None if share is None else min(1.0, share))


def _ways(rooms: Rooms) -> dict[str, Callable[[Rooms, Request], Run]]:
    if rooms.encoder is None:
        return {"lexical": advising.lexical, "search": advising.search}
    return {
        "lexical": advising.lexical,
        "dense": advising.dense,
        "hybrid": _hybrid,
        "search": advising.search,
    }


def _hybrid(rooms: Rooms, asked: Request) -> Run:
    both = [advising.lexical(rooms, asked), advising.dense(rooms, asked)]
    return listing.reciprocal_ranks(both, k=advising.DEPTH)


def _ms(way: Callable[[Rooms, Request], Run], rooms: Rooms, request: Request) -> float:
    began = perf_counter()
    way(rooms, request)
    return 1000 * (perf_counter() - began)


def _arrays(rows: dict[str, list[float]]) -> dict[str, np.typing.NDArray[np.float64]]:
    return {name: np.array(values) for name, values in rows.items()}
