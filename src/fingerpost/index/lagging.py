"""Keeping freshness lag: histograms of every write since the index was made, in its folder.

A write is *accepted* when reading it begins, *durable* when the ledger has it on disk, *lexical* when a
search for its words finds it, *dense* when one for its meaning does, *routed* when a generation holds it, so
that the router leads to it like to everything else. `freshness.json` is a measurement, no evidence (see
``kept``): one that is damaged begins anew.

Lags are counted in the clock's steady seconds. Only what waits for a fold when its writer ends is kept by the
time of day, since steady seconds mean nothing to the next one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from fingerpost.evaluate.freshness import EDGES, STEPS, Freshness, Lags
from fingerpost.index import kept as sheet
from fingerpost.index.clock import REAL, Clock

NAME = "freshness.json"
MOST_WAITING = 128
"""Writes that wait for a fold and are kept apart; beyond that neighbours count from the older one's time."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Write:
    """One transaction: its seq, how many documents it changed, when it was accepted and when it was durable
    (steady seconds of the clock).
    """

    seq: int
    changes: int
    accepted: float
    durable: float


@dataclass(slots=True)
class Kept:
    """What the file holds: a histogram a step, and the writes that are not routed yet (seq, when accepted in
    steady seconds, changes).
    """

    steps: dict[str, Lags] = field(default_factory=lambda: {step: Lags() for step in STEPS})
    waiting: list[tuple[int, float, int]] = field(default_factory=list)

    def late(self, step: str) -> int:
        """How many changes have not reached a step."""
        return sum(changes for *_, changes in self.waiting) if step == "routed" else 0

    def told(self) -> Freshness:
        """As `status` and `evaluate` show it."""
        return {step: lags.told(waiting=self.late(step)) for step, lags in self.steps.items()}

    def counted(self) -> dict[str, dict[str, object]]:
        """As the metrics count it."""
        return {
            step: {"below": EDGES, "counts": lags.counts, "total": lags.total, "waiting": self.late(step)}
            for step, lags in self.steps.items()
        }


class Lagging:
    """The freshness of one index folder; only its writer records."""

    def __init__(self, folder: Path, clock: Clock = REAL) -> None:
        self._path, self._lock, self._clock = folder / NAME, Lock(), clock
        self._kept: Kept | None = None
        """What this writer has recorded last: nobody else does."""

    def record(self, writes: Sequence[Write], *, lexical: float, dense: float | None) -> None:
        """Count writes that a search has found since ``lexical`` and ``dense`` (steady seconds; None where
        the index has no vectors: then nothing is routed either).
        """
        if not writes:
            return
        with self._lock:
            kept = self._own()
            for write in writes:
                reached = {"durable": write.durable, "lexical": lexical}
                if dense is not None:
                    reached["dense"] = dense
                    kept.waiting.append((write.seq, write.accepted, write.changes))
                for step, at in reached.items():
                    kept.steps[step].add(at - write.accepted, changes=write.changes)
            kept.waiting = _bounded(kept.waiting)
            self._write(kept)

    def routed(self, seq: int) -> None:
        """Everything up to this seq is in a published generation."""
        with self._lock:
            kept, now = self._own(), self._clock.steady()
            arrived = [write for write in kept.waiting if write[0] <= seq]
            if not arrived:
                return
            for _, accepted, changes in arrived:
                kept.steps["routed"].add(now - accepted, changes=changes)
            kept.waiting = [write for write in kept.waiting if write[0] > seq]
            self._write(kept)

    def _own(self) -> Kept:
        if self._kept is None:
            self._kept = self.read()
        return self._kept

    def read(self) -> Kept:
        """What is kept; nothing where the file is missing or damaged."""
        try:
            found = json.loads(sheet.read(self._path))
            steps = {step: Lags(**found["steps"][step]) for step in STEPS}
            waiting = [(int(seq), self._steady(float(at)), int(n)) for seq, at, n in found["waiting"]]
        except FileNotFoundError:
            return Kept()
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning("%s cannot be read (%s): freshness is counted anew", self._path, error)
            return Kept()
        return Kept(steps, waiting)

    def _steady(self, wall: float) -> float:
        """A time of day in steady seconds: not later than now, whatever was done to the clock."""
        return self._clock.steady() - max(0.0, self._clock.wall() - wall)

    def _write(self, kept: Kept) -> None:
        steps = {
            step: {"counts": lags.counts, "total": lags.total, "longest": lags.longest}
            for step, lags in kept.steps.items()
        }
        since = self._clock.wall() - self._clock.steady()
        waiting = [(seq, since + accepted, changes) for seq, accepted, changes in kept.waiting]
        body = json.dumps({"steps": steps, "waiting": waiting})
        try:
            sheet.write(self._path, body)
        except OSError as error:  # a full disk: the write itself was acknowledged, only its lag is lost
            _log.warning("%s cannot be written (%s)", self._path, error)


def _bounded(waiting: list[tuple[int, float, int]]) -> list[tuple[int, float, int]]:
    """Halve a list that is too long: each pair of neighbours is routed with its newer seq, and counts from
    its older time.
    """
    while len(waiting) > MOST_WAITING:
        pairs = [(waiting[at], waiting[at + 1]) for at in range(0, len(waiting) - 1, 2)]
        odd = waiting[-1:] if len(waiting) % 2 else []
        waiting = [(two[0], min(one[1], two[1]), one[2] + two[2]) for one, two in pairs] + odd
    return waiting
