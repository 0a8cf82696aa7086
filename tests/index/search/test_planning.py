"""Planning: which queries get how much of a second look, on a real index and on replayed queries."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fingerpost
from fingerpost.config import RerankSettings, Settings
from fingerpost.index.search import gathering, planning
from fingerpost.index.search.planning import Replayed
from fingerpost.index.search.ranking import NONE, Asked, Effort, Told, feature_rows, look_again
from fingerpost.records import Trace
from fingerpost.rerank.features import NAMES
from fingerpost.rerank.forest import START, Forest
from fingerpost.rerank.learn import FitResult, Group
from fingerpost.rerank.line import Line
from fingerpost.route import plan
from fingerpost.text import query as parsing


def asis(replayed: list[Replayed]) -> FitResult:
    """A ranking that is the untrained sum: enough to judge a plan by."""
    forest = Forest.from_trees([], NAMES, line=Line.of(NAMES, START, 1.0))
    return FitResult(forest, "", scores=[forest.predict(one.full.rows) for one in replayed])


def traced(kb: Path, query: str, **rerank: float) -> Trace:
    settings = Settings(rerank=RerankSettings.model_validate(rerank))
    with fingerpost.open(kb, settings=settings) as index:
        return index.trace(query)[1]


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index just large enough that the plan is asked."""
    folder = tmp_path_factory.mktemp("many")
    words = [
        "valve",
        "piston",
        "rotor",
        "gasket",
        "bearing",
        "flange",
        "spindle",
        "nozzle",
        "clutch",
        "shaft",
    ]
    with (folder / "parts.jsonl").open("w") as file:
        for at in range(planning.SMALL):
            text = f"The {words[at % 10]} of model {at} fits the {words[at // 10 % 10]}."
            file.write(json.dumps({"_id": f"p{at}", "text": text}) + "\n")
    fingerpost.compile(folder / "parts.jsonl", to=folder / "kb").close()
    return folder / "kb"


@pytest.mark.parametrize(
    ("chances", "depth", "note"),
    [
        ({"skip": 0.0, "unread": 0.0}, 100, "untrained sum"),
        ({"skip": 0.0, "unread": 1.0}, 100, "untrained sum, words not read"),
        ({"skip": 1.0, "unread": 1.0}, 0, "untrained sum, no second look"),
    ],
)
def test_the_settings_decide_how_careful_the_plan_is(
    many: Path, chances: dict[str, float], depth: int, note: str
) -> None:
    trace = traced(many, "which valve fits the piston", **chances)
    assert trace.plan.rerank_depth == depth
    assert trace.stages[3].note.partition(":")[0] == note


def test_names_are_always_looked_for_in_the_text(many: Path) -> None:
    assert traced(many, "E_TIMEOUT_504", skip=1.0, unread=1.0).plan.rerank_depth == 100


def test_a_small_index_that_has_learned_nothing_always_looks_again(tiny_kb: Path) -> None:
    assert traced(tiny_kb, "how do I get my money back", skip=1.0, unread=1.0).plan.rerank_depth == 100


def test_who_asks_for_more_than_ten_results_gets_a_full_look(many: Path) -> None:
    careless = Settings(rerank=RerankSettings(skip=1.0, unread=1.0))
    with fingerpost.open(many, settings=careless) as index:
        depths = [index.trace("which valve fits the piston", k=k)[1].plan.rerank_depth for k in (10, 11)]
    assert depths == [0, 100]


def test_each_stage_has_its_threshold() -> None:
    settings = RerankSettings(depth=5, read=3, skip=0.1, unread=0.2)
    zeros = np.zeros(len(plan.LOOK)), np.zeros(len(plan.WORDS))

    def flat(zero: np.ndarray, chance: float) -> plan.Chooser:
        return plan.Chooser((0.0,) * len(zero), float(np.log(chance / (1 - chance))))

    def effort(look: float, words: float) -> Effort:
        both = plan.Plan(flat(zeros[0], look), flat(zeros[1], words))
        return planning.chosen(both, zeros, settings)

    assert effort(0.05, 0.9) == NONE
    assert effort(0.15, 0.15) == Effort(5, 0)
    assert effort(0.15, 0.25) == Effort(5, 3)


@pytest.mark.parametrize(("depth", "read"), [(100, 20), (100, 5), (50, 20)])
def test_looks_that_share_their_work_are_as_alone(many: Path, depth: int, read: int) -> None:
    settings = RerankSettings(depth=depth, read=read)
    with fingerpost.open(many) as index:
        rooms = index._rooms
        snapshot = rooms.store.snapshot()
        epoch = rooms.epoch(snapshot)
        for text in ("which valve fits the piston", "rotor of model 7", "gasket"):
            query = parsing.parse(text)
            asked = Asked(query, rooms.encoder.encode_query(text))
            found = gathering.replayed(rooms, snapshot, epoch, asked)
            looks = planning.looks(snapshot, asked, found, epoch.judges, settings)
            for look, effort in zip(looks, (planning.full(settings), Effort(depth, 0), NONE), strict=True):
                alone = look_again(snapshot, asked, found, epoch.judges, effort=effort)
                rows = feature_rows(asked, look, Told())
                assert np.array_equal(rows, feature_rows(asked, alone, Told()), equal_nan=True)
                assert look.read.chunks == alone.read.chunks


def replayed(count: int, *, looks_matter: bool) -> list[Replayed]:
    """Queries of five candidates. Where the fused first stands out, no look changes anything; in close races
    late interaction puts the right one first, or the words do – and where ``looks_matter``, so they do behind
    a clear lead.
    """
    rng, found = np.random.default_rng(0), []
    lead = plan.LOOK.index("lead")
    for at in range(count):
        clear, worded = rng.random(2) < 0.5
        rows = np.zeros((5, len(NAMES)), np.float32)
        rows[:, NAMES.index(START)] = [2, 1, 0, 0, 0]
        looked = rows.copy()
        if looks_matter or not clear:
            looked[:, NAMES.index(START)] = [1, 2, 0, 0, 0]
        late = rows if worded else looked
        grades = (looked[:, NAMES.index(START)] == 2).astype(np.int32)
        features = np.zeros(len(plan.LOOK)), np.zeros(len(plan.WORDS))
        features[0][lead], features[1][lead] = float(clear), float(clear or not worded)
        if looks_matter:
            features = tuple(rng.normal(size=len(one)) - 5 * (rng.random() < 0.9) for one in features)
        docs = np.arange(5, dtype=np.int64)
        found.append(Replayed(Group(looked, grades, f"d{at}", docs=docs), (late, rows), features))
    return found


def test_a_plan_is_learned_where_work_can_be_left_out() -> None:
    given = replayed(400, looks_matter=False)
    found, said = planning.taught(
        planning.tried(given, asis(given)), RerankSettings(skip=0.2, unread=0.2), seed=0
    )
    for chooser, names in ((found.look, plan.LOOK), (found.words, plan.WORDS)):
        close = np.zeros(len(names))
        clear = close.copy()
        clear[names.index("lead")] = 1.0
        assert chooser.chance(clear) < 0.1 < 0.9 < chooser.chance(close)
    assert "100.0% of nDCG@10 kept" in said[0]


def test_a_plan_that_loses_on_held_out_queries_is_refused() -> None:
    careless = RerankSettings(skip=1.0, unread=1.0)
    given = replayed(400, looks_matter=True)
    chooser, said = planning.taught(planning.tried(given, asis(given)), careless, seed=0)
    assert chooser == plan.NEVER
    assert "too little" in said[0]


def test_without_enough_queries_or_a_ranking_all_get_a_full_look() -> None:
    few = replayed(40, looks_matter=False)
    assert planning.taught(planning.tried(few, asis(few)), RerankSettings(), seed=0) == (plan.NEVER, ())
    assert (
        planning.taught(
            planning.tried(replayed(400, looks_matter=False), FitResult(None, "few")),
            RerankSettings(),
            seed=0,
        )[0]
        == plan.NEVER
    )
