"""What a snapshot pins: the parts of one state, none of which changes any more."""

from __future__ import annotations

from dataclasses import dataclass

from fingerpost.store.generation import Generation
from fingerpost.store.tail import TailView
from fingerpost.store.vectors import Mask


@dataclass(frozen=True, slots=True)
class View:
    """A generation, which of its rows stand (None: all), the tail, and the ledger's seq and count then."""

    generation: Generation
    alive: Mask | None
    tail: TailView
    seq: int
    documents: int
