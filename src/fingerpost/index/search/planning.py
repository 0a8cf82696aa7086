"""Planning: which queries get a second look, and what an index learns about that from replayed ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fingerpost.config import RerankSettings
from fingerpost.index.epoch import Judges
from fingerpost.index.search.ranking import NONE, SHORT, Asked, Effort, Look, look_again, shorter
from fingerpost.records import Candidates
from fingerpost.rerank.forest import Forest
from fingerpost.rerank.learn import FitResult, Group, ndcg
from fingerpost.retrieve import fuse
from fingerpost.route import confidence, plan
from fingerpost.route.pairs import aside
from fingerpost.store.snapshot import Snapshot

HELD_OUT = 0.2
"""Share of the replayed queries that judge the plan and are not fitted."""
LEAST_HELD = 30
SMALL = 500
"""Chunks below which the plan of an index that has learned nothing is not asked: it was fitted where the
candidates are the best few of many, and not nearly all there is.
"""
KEPT = 0.995
"""Share of nDCG@10 that must be kept on them."""
SAID = {NONE: ", no second look: it would hardly change the first", SHORT: ", a short second look"}
"""What a trace says of the effort."""
CARE = (0.0, 1.0, 2.0, 3.0)
"""Log-odds added to every chance, tried in this order, until that much is kept."""


@dataclass(frozen=True)
class Replayed:
    """One training query as a search would have ranked it with a memory that never saw it: ``full`` with a
    full second look, ``less`` the feature rows with a short one and with none; the plan's ``features``, the
    candidates' ``docs``.
    """

    full: Group
    less: tuple[NDArray[np.float32], NDArray[np.float32]]
    features: NDArray[np.float64]
    docs: NDArray[np.int64]


def full(settings: RerankSettings) -> Effort:
    """The second look of a query for which nothing speaks against it."""
    return Effort(settings.depth, settings.read)


def looks(
    snapshot: Snapshot, asked: Asked, candidates: Candidates, judges: Judges, settings: RerankSettings
) -> tuple[Look, Look, Look]:
    """A full second look, a short one, and none; what two have in common is done once."""
    whole = full(settings)
    most, none = (look_again(snapshot, asked, candidates, judges, effort=effort) for effort in (whole, NONE))
    if whole.depth == SHORT.depth and whole.read >= SHORT.read:
        return most, shorter(asked, most, judges, read=SHORT.read), none
    return most, look_again(snapshot, asked, candidates, judges, effort=SHORT), none


@dataclass(frozen=True, slots=True)
class Scale:
    """How many chunks are searched, and for how many results."""

    chunks: int
    results: int


def effort(
    asked: Asked, candidates: Candidates, judges: Judges, settings: RerankSettings, scale: Scale
) -> Effort:
    """The second look that the plan gives these candidates: none, a short one, or a full one. Names are
    always looked for in the text, without both legs there is nothing to choose by, and what the plan knows
    is whether the first ten change.
    """
    whole = full(settings)
    literal = asked.query.codes or asked.literal
    if literal or asked.encoded is None or not len(candidates.keys) or scale.results > plan.TOP:
        return whole
    if not max(settings.skip, settings.short) or (judges.plan == plan.DEFAULT and scale.chunks < SMALL):
        return whole
    return chosen(judges.plan.chance(features(asked, candidates)), settings)


def chosen(chance: float, settings: RerankSettings) -> Effort:
    """The effort for a chance that a second look changes the first result; never more than a full one."""
    whole = full(settings)
    if chance < settings.skip:
        return NONE
    if chance < settings.short:
        return Effort(min(SHORT.depth, whole.depth), min(SHORT.read, whole.read))
    return whole


def features(asked: Asked, candidates: Candidates) -> NDArray[np.float64]:
    """What the plan is chosen by: the features of ``route.plan``, [9]."""
    missing = np.full(len(candidates.keys), np.nan)
    lexical, dense = (candidates.scores.get(leg, missing) for leg in ("lexical", "dense"))
    total = fuse.balanced({"lexical": lexical, "dense": dense}).scores
    return plan.features(lexical, dense, candidates.docs, total, terms=len(asked.query.terms))


def taught(
    tried: Sequence[Tried], settings: RerankSettings, *, seed: int
) -> tuple[plan.Chooser, tuple[str, ...]]:
    """The plan of a learned ranking, and what it did on queries it was not fitted on; one that loses too much
    there, or cannot be judged, gives every query its full second look.
    """
    held = aside([one.family for one in tried], HELD_OUT, seed=seed)
    if min(held.sum(), (~held).sum()) < LEAST_HELD:
        return plan.NEVER, ()
    rows, changed = np.stack([one.features for one in tried]), np.array([one.changed for one in tried])
    trial, judged = plan.fit(rows[~held], changed[~held]), np.flatnonzero(held).tolist()
    said = ""
    for care in CARE:
        efforts = [chosen(trial.warier(care).chance(rows[at]), settings) for at in judged]
        kept = sum(tried[at].ndcg(effort) for at, effort in zip(judged, efforts, strict=True))
        kept /= max(sum(tried[at].value(tried[at].full) for at in judged), 1e-9)
        none, short = (float(np.mean([effort == kind for effort in efforts])) for kind in (NONE, SHORT))
        said = (
            f"plan: {none:.0%} of held-out queries need no second look, {short:.0%} a short one, "
            f"{kept:.1%} of nDCG@10 kept"
        )
        if kept >= KEPT:
            return plan.fit(rows, changed).warier(care), (said,)
    return plan.NEVER, (f"{said}: too little, so all get a full one",)


def believed(
    tried: Sequence[Tried], chooser: plan.Chooser, settings: RerankSettings, *, seed: int
) -> tuple[confidence.Confidence | None, tuple[str, ...]]:
    """How far to believe a learned ranking under its plan, from questions that whoever judged them was not
    taught, and what that says of others.
    """
    if not tried:
        return None, ()
    signs, right = [], []
    for one in tried:
        scores = one.scores(chosen(chooser.chance(one.features), settings))
        signs.append(confidence.signs(scores, one.replayed.docs))
        right.append(one.replayed.full.grades[int(np.argmax(scores))] > 0)
    found = confidence.fit(np.stack(signs), np.array(right), [one.family for one in tried], seed=seed)
    if found is None:
        return None, ()
    said = f"held-out Brier score {found.brier:.3f}, of the mean {found.base:.3f}"
    return found.confidence, (f"confidence in the first result: {said}",)


@dataclass(frozen=True)
class Tried:
    """A replayed query and the scores that its judge gives the candidates after a full second look and after
    none.
    """

    replayed: Replayed
    judge: Forest
    full: NDArray[np.float64]
    none: NDArray[np.float64]

    @property
    def features(self) -> NDArray[np.float64]:
        """What the plan is chosen by, [9]."""
        return self.replayed.features

    @property
    def family(self) -> str:
        """What no split parts it from: the others of this name."""
        return self.replayed.full.document

    @property
    def changed(self) -> bool:
        """Whether the first document hangs on a second look."""
        docs = self.replayed.docs
        return bool(docs[np.argmax(self.full)] != docs[np.argmax(self.none)])

    @cached_property
    def short(self) -> NDArray[np.float64]:
        """The scores after a short look, which not every query is given."""
        return self.judge.predict(self.replayed.less[0])

    def scores(self, effort: Effort) -> NDArray[np.float64]:
        """The scores after this effort."""
        return self.none if effort == NONE else self.short if effort == SHORT else self.full

    def ndcg(self, effort: Effort) -> float:
        """nDCG@10 at this effort."""
        return self.value(self.scores(effort))

    def value(self, scores: NDArray[np.float64]) -> float:
        """nDCG@10 of these scores."""
        return ndcg(scores, self.replayed.full.grades)


def tried(replayed: Sequence[Replayed], ranking: FitResult) -> list[Tried]:
    """The queries that have candidates, each ranked by a forest that was not taught its document; none where
    nothing was learned.
    """
    found = []
    for one, full_scores in zip(replayed, ranking.scores, strict=bool(ranking.scores)):
        judge = ranking.judges.get(one.full.document, ranking.forest)
        if judge is not None and len(one.docs):
            found.append(Tried(one, judge, full_scores, judge.predict(one.less[1])))
    return found
