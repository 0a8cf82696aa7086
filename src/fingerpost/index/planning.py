"""Planning: which queries get a second look, and what an index learns about that from replayed ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fingerpost.config import RerankSettings
from fingerpost.index.ranking import Asked, Judges
from fingerpost.records import Candidates
from fingerpost.rerank.forest import Forest
from fingerpost.rerank.learn import Group, ndcg
from fingerpost.retrieve import fuse
from fingerpost.route import plan

HELD_OUT = 0.2
"""Share of the replayed queries that judge the plan and are not fitted."""
LEAST_HELD = 30
KEPT = 0.995
"""Share of nDCG@10 that must be kept on them."""


@dataclass(frozen=True)
class Replayed:
    """One training query as a search would have ranked it with a memory that never saw it: ``full`` with a
    second look, ``glance`` the feature rows without; the plan's ``features``, the candidates' ``docs``.
    """

    full: Group
    glance: NDArray[np.float32]
    features: NDArray[np.float64]
    docs: NDArray[np.int64]


def needs_look(asked: Asked, candidates: Candidates, judges: Judges, settings: RerankSettings) -> bool:
    """Whether the plan gives these candidates a second look. Names are always looked for in the text, and
    without both legs there is nothing to choose by.
    """
    if not settings.skip or asked.query.codes or asked.encoded is None or not len(candidates.keys):
        return True
    return judges.plan.chance(features(asked, candidates)) >= settings.skip


def features(asked: Asked, candidates: Candidates) -> NDArray[np.float64]:
    """What the plan is chosen by: the features of ``route.plan``, [9]."""
    missing = np.full(len(candidates.keys), np.nan)
    lexical, dense = (candidates.scores.get(leg, missing) for leg in ("lexical", "dense"))
    total = fuse.balanced({"lexical": lexical, "dense": dense}).scores
    return plan.features(lexical, dense, candidates.docs, total, terms=len(asked.query.terms))


def taught(
    replayed: Sequence[Replayed], forest: Forest | None, *, chance: float, seed: int
) -> tuple[plan.Chooser, tuple[str, ...]]:
    """The plan of a learned ranking, and what it did on queries it was not fitted on; one that loses too much
    there, or cannot be judged, gives every query its second look.
    """
    usable = [one for one in replayed if len(one.docs)]
    held = np.random.default_rng(seed).random(len(usable)) < HELD_OUT
    if forest is None or min(held.sum(), (~held).sum()) < LEAST_HELD:
        return plan.NEVER, ()
    looks = [(forest.predict(one.full.rows), forest.predict(one.glance)) for one in usable]
    firsts = zip(usable, looks, strict=True)
    changed = np.array(
        [one.docs[np.argmax(full)] != one.docs[np.argmax(brief)] for one, (full, brief) in firsts]
    )
    rows = np.stack([one.features for one in usable])
    trial = plan.fit(rows[~held], changed[~held])
    skips = np.array([trial.chance(row) < chance for row in rows])[held]
    judged = [at for at in range(len(usable)) if held[at]]
    full, brief = (
        np.array([ndcg(looks[at][way], usable[at].full.grades) for at in judged]) for way in (0, 1)
    )
    kept = float(np.where(skips, brief, full).sum() / max(full.sum(), 1e-9))
    said = f"plan: {skips.mean():.0%} of held-out queries need no second look, {kept:.1%} of nDCG@10 kept"
    if kept < KEPT:
        return plan.NEVER, (f"{said}: too little, so all get one",)
    return plan.fit(rows, changed), (said,)
