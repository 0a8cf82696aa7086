"""Planning: which queries get a second look, and what an index learns about that from replayed ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fingerpost.config import RerankSettings
from fingerpost.index.epoch import Judges
from fingerpost.index.search.ranking import (
    NONE,
    Asked,
    Effort,
    Look,
    look_again,
    read_again,
    summed,
    unread,
    with_late,
)
from fingerpost.records import Candidates
from fingerpost.rerank.forest import Forest
from fingerpost.rerank.learn import FitResult, Group
from fingerpost.retrieve import fuse
from fingerpost.route import confidence, plan
from fingerpost.route.pairs import aside
from fingerpost.store.snapshot import Snapshot

HELD_OUT = 0.2
"""Share of the replayed queries that judge the plan and are not fitted."""
LEAST_HELD = 30
FITTED = 1_500
"""Queries that a plan is fitted on, at most: a dozen weights need no more."""
SMALL = 500
"""Chunks below which the plan of an index that has learned nothing is not asked: it was fitted where the
candidates are the best few of many, and not nearly all there is.
"""
KEPT = 0.995
"""Share of nDCG@10 that must be kept on them."""
CARE = tuple(step / 4 for step in range(13))
"""Log-odds added to every chance, tried in this order, until that much is kept."""
Features = tuple[NDArray[np.float64], NDArray[np.float64]]
"""What the plan is chosen by before and after late interaction: the features of ``route.plan``."""


@dataclass(frozen=True)
class Replayed:
    """One training query as a search would have ranked it with a memory that never saw it: ``full`` with a
    full second look, ``less`` the feature rows after late interaction alone and with no second look; the
    plan's ``features``.
    """

    full: Group
    less: tuple[NDArray[np.float32], NDArray[np.float32]]
    features: Features

    @property
    def docs(self) -> NDArray[np.int64]:
        """The candidates' documents [n]."""
        docs = self.full.docs
        return np.arange(len(self.full.grades)) if docs is None else docs


def full(settings: RerankSettings) -> Effort:
    """The second look of a query for which nothing speaks against it."""
    return Effort(settings.depth, settings.read)


def looks(
    snapshot: Snapshot, asked: Asked, candidates: Candidates, judges: Judges, settings: RerankSettings
) -> tuple[Look, Look, Look]:
    """A full second look, one that reads no words, and none; what two have in common is done once."""
    most, none = (
        look_again(snapshot, asked, candidates, judges, effort=effort) for effort in (full(settings), NONE)
    )
    return most, unread(asked, most.candidates, judges), none


@dataclass(frozen=True, slots=True)
class Scale:
    """How many chunks are searched, and for how many results."""

    chunks: int
    results: int


def look(
    snapshot: Snapshot,
    asked: Asked,
    candidates: Candidates,
    judges: Judges,
    settings: RerankSettings,
    scale: Scale,
) -> tuple[Look, str]:
    """The second look that the plan gives these candidates, and what a trace says of it."""
    whole = full(settings)
    if not _planned(asked, candidates, judges, settings, scale):
        return look_again(snapshot, asked, candidates, judges, effort=whole), ""
    if judges.plan.look.chance(before(candidates)) < settings.skip:
        none = look_again(snapshot, asked, candidates, judges, effort=NONE)
        return none, ", no second look: it would hardly change the first"
    scored = with_late(snapshot, asked.encoded, candidates, judges.codec, depth=whole.depth)
    if "maxsim" in scored.scores and judges.plan.words.chance(after(scored, judges)) < settings.unread:
        return unread(asked, scored, judges), ", words not read: they would hardly change the first"
    return read_again(snapshot, asked, scored, judges, read=whole.read), ""


def _planned(
    asked: Asked, candidates: Candidates, judges: Judges, settings: RerankSettings, scale: Scale
) -> bool:
    """Whether the plan has a say. Names are always looked for in the text, without both legs there is nothing
    to choose by, and what the plan knows is whether the first ten change.
    """
    if asked.query.codes or asked.literal or asked.encoded is None:
        return False
    if not len(candidates.keys) or scale.results > plan.TOP or not max(settings.skip, settings.unread):
        return False
    return judges.plan != plan.DEFAULT or scale.chunks >= SMALL


def chosen(by: plan.Plan, features: Features, settings: RerankSettings) -> Effort:
    """The effort that a plan gives a query of these features."""
    if by.look.chance(features[0]) < settings.skip:
        return NONE
    return Effort(settings.depth, 0 if by.words.chance(features[1]) < settings.unread else settings.read)


def before(candidates: Candidates) -> NDArray[np.float64]:
    """The features ``plan.LOOK`` of candidates."""
    missing = np.full(len(candidates.keys), np.nan)
    legs = {leg: candidates.scores.get(leg, missing) for leg in ("lexical", "dense")}
    return plan.features(plan.LOOK, legs, candidates.docs, fuse.balanced(legs).scores)


def after(scored: Candidates, judges: Judges) -> NDArray[np.float64]:
    """The features ``plan.WORDS`` of candidates that late interaction has scored."""
    return plan.features(plan.WORDS, scored.scores, scored.docs, summed(judges, scored.scores).scores)


def taught(
    tried: Sequence[Tried], settings: RerankSettings, *, seed: int
) -> tuple[plan.Plan, tuple[str, ...]]:
    """The plan of a learned ranking, and what it did on queries it was not fitted on; one that loses too much
    there, or cannot be judged, gives every query its full second look.
    """
    held = aside([one.family for one in tried], HELD_OUT, seed=seed)
    if min(held.sum(), (~held).sum()) < LEAST_HELD:
        return plan.NEVER, ()
    given = [tried[at] for at in np.flatnonzero(~held)[:FITTED].tolist()]
    judged = [tried[at] for at in np.flatnonzero(held).tolist()]
    fitted, said = _fitted(given), ""
    best = max(sum(one.value(one.full) for one in judged), 1e-9)
    for care in CARE:
        efforts = [chosen(fitted.warier(care), one.replayed.features, settings) for one in judged]
        kept = sum(one.ndcg(effort) for one, effort in zip(judged, efforts, strict=True))
        kept /= best
        none = float(np.mean([effort == NONE for effort in efforts]))
        late = float(np.mean([effort != NONE and not effort.read for effort in efforts]))
        said = (
            f"plan: {none:.0%} of held-out queries need no second look, {late:.0%} no words read, "
            f"{kept:.1%} of nDCG@10 kept"
        )
        if kept >= KEPT:
            return fitted.warier(care), (said,)
    return plan.NEVER, (f"{said}: too little, so all get a full one",)


def _fitted(given: Sequence[Tried]) -> plan.Plan:
    """The likeliest plan of these queries."""
    before, after = (np.stack([one.replayed.features[at] for one in given]) for at in range(2))
    looked = np.array([one.first(one.full) != one.first(one.none) for one in given])
    read = np.array([one.first(one.full) != one.first(one.late) for one in given])
    return plan.Plan(plan.fit(before, looked), plan.fit(after, read))


def believed(
    tried: Sequence[Tried], by: plan.Plan, settings: RerankSettings, *, seed: int
) -> tuple[confidence.Confidence | None, tuple[str, ...]]:
    """How far to believe a learned ranking under its plan, from questions that whoever judged them was not
    taught, and what that says of others.
    """
    if not tried:
        return None, ()
    signs, right = [], []
    for one in tried:
        scores = one.scores(chosen(by, one.replayed.features, settings))
        signs.append(confidence.signs(scores, one.replayed.docs))
        right.append(one.replayed.full.grades[int(np.argmax(scores))] > 0)
    found = confidence.fit(np.stack(signs), np.array(right), [one.family for one in tried], seed=seed)
    if found is None:
        return None, ()
    said = f"held-out Brier score {found.brier:.3f}, of the mean {found.base:.3f}"
    return found.confidence, (f"confidence in the first result: {said}",)


@dataclass(frozen=True)
class Tried:
    """A replayed query and the scores that its judge gives the candidates after a full second look."""

    replayed: Replayed
    judge: Forest
    full: NDArray[np.float64]

    @property
    def family(self) -> str:
        """What no split parts it from: the others of this name."""
        return self.replayed.full.document

    @cached_property
    def late(self) -> NDArray[np.float64]:
        """The scores after late interaction, no words read."""
        return self.judge.predict(self.replayed.less[0])

    @cached_property
    def none(self) -> NDArray[np.float64]:
        """The scores without a second look."""
        return self.judge.predict(self.replayed.less[1])

    def first(self, scores: NDArray[np.float64]) -> int:
        """The key of the document that comes first by these scores."""
        return int(self.replayed.docs[np.argmax(scores)])

    def scores(self, effort: Effort) -> NDArray[np.float64]:
        """The scores after this effort."""
        return self.none if effort == NONE else self.full if effort.read else self.late

    def ndcg(self, effort: Effort) -> float:
        """nDCG@10 at this effort."""
        return self.value(self.scores(effort))

    def value(self, scores: NDArray[np.float64]) -> float:
        """nDCG@10 of these scores."""
        return self.replayed.full.ndcg(scores)


def tried(replayed: Sequence[Replayed], ranking: FitResult) -> list[Tried]:
    """The queries that have candidates, each ranked by a forest that was not taught its document; none where
    nothing was learned.
    """
    found = []
    for one, full_scores in zip(replayed, ranking.scores, strict=bool(ranking.scores)):
        judge = ranking.judges.get(one.full.document, ranking.forest)
        if judge is not None and len(one.docs):
            found.append(Tried(one, judge, full_scores))
    return found
