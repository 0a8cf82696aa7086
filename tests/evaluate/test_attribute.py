"""Planted faults: 600 misses made on purpose in each stage of a small model of the pipeline, each with one
fault.

The model is not the index (that one is tested with its own planted faults); it draws ranks at random, makes
one stage fail for a document that would otherwise have been found, and answers a ``Probe``'s questions
truthfully.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerpost.evaluate.attribute import (
    CAUSES,
    CURES,
    Cause,
    Fates,
    Miss,
    attribute,
    first_cause,
    replay,
    summary,
)

PLANTED = 600


@dataclass
class Pipeline:
    """A document's way through, drawn so that it is found; ``break_at`` makes one stage lose it."""

    rng: Random
    k: int = 10
    looked_at: int = 50
    depth: Mapping[str, int] = field(default_factory=lambda: {"lexical": 100, "dense": 100})
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.is_there = self.is_visible = self.all_opened = True
        self.text_is = "whole"
        self.ranks: dict[str, int | None] = {
            "dense": self.rng.randint(1, 100),
            "lexical": self.rng.choice([None, self.rng.randint(1, 2_000)]),
        }
        self.fused_at: int | None = self.rng.randint(1, self.looked_at)
        self.final_at: int | None = self.rng.randint(1, self.k)
        self.full_at: int | None = self.final_at
        self.used: tuple[bool, bool] | None = (True, True)

    def break_at(self, stage: Cause) -> None:
        if stage == "grounding":
            self.used = self.rng.choice([(True, False), (False, False)])
            return
        self.final_at = None
        getattr(self, f"_break_{stage}")()

    def _break_corpus(self) -> None:
        self.is_there = False

    def _break_reading(self) -> None:
        self.text_is = self.rng.choice(["cut", "absent"])

    def _break_access(self) -> None:
        self.is_visible = False

    def _break_routing(self) -> None:
        self.all_opened = False
        if (
            self.rng.random() < 0.5
        ):  # a candidate by words alone, without the score its vector would have earned
            self.ranks["lexical"] = self.rng.randint(1, 100)
            self.fused_at, self.final_at = self.rng.randint(11, 100), self.rng.randint(11, 100)
        else:
            self.ranks["lexical"] = None
            self.fused_at = None

    def _break_retrieval(self) -> None:
        self.ranks = {"dense": self.rng.randint(101, 5_000), "lexical": self.rng.choice([None, 101, 2_000])}
        self.fused_at = self.full_at = None
        self.all_opened = self.rng.random() < 0.5

    def _break_fusion(self) -> None:
        self.fused_at = self.full_at = self.rng.randint(self.looked_at + 1, 200)

    def _break_reranking(self) -> None:
        self.final_at = self.full_at = self.rng.randint(self.k + 1, self.looked_at + self.k)
        self.all_opened = self.rng.random() < 0.5

    def exists(self, doc_id: str) -> bool:
        return self.is_there

    def reading(self, doc_id: str, text: str | None) -> str:
        return self.text_is

    def visible(self, doc_id: str) -> bool:
        return self.is_visible

    def leaves(self, doc_id: str) -> tuple[int, ...]:
        return (7,)

    def opened(self, doc_id: str) -> bool:
        return self.all_opened

    def exhaustive(self, doc_id: str) -> Mapping[str, int | None]:
        self.asked.append("exhaustive")
        return self.ranks

    def candidate(self, doc_id: str) -> bool:
        return self.fused_at is not None

    def fused(self, doc_id: str) -> int | None:
        return self.fused_at

    def final(self, doc_id: str) -> int | None:
        return self.final_at

    def unrouted(self, doc_id: str) -> int | None:
        return self.full_at

    def context(self, doc_id: str) -> tuple[bool, bool] | None:
        return self.used


@pytest.mark.parametrize("stage", CAUSES)
def test_planted_misses_are_attributed_to_the_stage_that_lost_them(stage: Cause) -> None:
    rng = Random(stage)
    found: Counter[str] = Counter()
    for at in range(PLANTED):
        pipeline = Pipeline(rng)
        pipeline.break_at(stage)
        (miss,) = attribute(f"q{at}", pipeline, {"wanted": 1, "judged not relevant": 0})
        found[miss.cause] += 1
        assert miss.evidence
    assert found == {stage: PLANTED}


def test_nothing_is_lost_in_a_pipeline_that_works() -> None:
    rng = Random(0)
    assert not [miss for _ in range(PLANTED) for miss in attribute("q", Pipeline(rng), {"wanted": 1})]


@pytest.mark.parametrize(
    ("first", "second"), [(a, b) for at, a in enumerate(CAUSES[:3]) for b in CAUSES[at + 1 : 7]]
)
def test_of_two_faults_the_first_is_the_cause(first: Cause, second: Cause) -> None:
    pipeline = Pipeline(Random(1))
    pipeline.break_at(second)
    pipeline.break_at(first)
    (miss,) = attribute("q", pipeline, {"wanted": 1})
    assert miss.cause == first


def test_routing_is_blamed_where_only_the_competitors_leaves_were_closed() -> None:
    lost = first_cause(Fates(opened=True, final=14, fused=1, looked_at=50, unrouted=3))
    assert lost == ("routing", "its leaves were opened, others were not; with all opened it comes 3rd")


def test_a_closed_leaf_is_not_blamed_when_opening_it_would_not_have_helped() -> None:
    below = {"dense": 312, "lexical": None}
    fates = Fates(
        opened=False, leaves=(7,), candidate=False, exhaustive=below, depth={"dense": 100, "lexical": 100}
    )
    lost = first_cause(fates)
    assert lost is not None
    assert lost[0] == "retrieval"
    assert "leaf 7 was not opened, but even in full" in lost[1]


@given(
    st.builds(
        Fates,
        exists=st.booleans(),
        reading=st.sampled_from(["whole", "cut", "absent"]),
        visible=st.booleans(),
        opened=st.booleans(),
        exhaustive=st.dictionaries(st.sampled_from(["dense", "lexical"]), st.none() | st.integers(1, 300)),
        depth=st.just({"dense": 100, "lexical": 100}),
        candidate=st.booleans(),
        fused=st.none() | st.integers(1, 300),
        looked_at=st.sampled_from([0, 50]),
        final=st.none() | st.integers(1, 300),
        unrouted=st.none() | st.integers(1, 300),
        in_context=st.none() | st.booleans(),
        cited=st.none() | st.booleans(),
    )
)
def test_whatever_happened_there_is_one_cause_or_no_miss(fates: Fates) -> None:
    lost = first_cause(fates)
    found = fates.final is not None and fates.final <= fates.k
    if lost is None:
        assert found
    else:
        assert lost[0] in CAUSES
        assert lost[1]


def test_dear_questions_are_asked_only_when_they_matter() -> None:
    pipeline = Pipeline(Random(0))
    pipeline.break_at("access")
    assert replay(pipeline, "wanted").visible is False
    assert pipeline.asked == []


def test_the_evidence_names_ranks_and_cuts() -> None:
    fates = Fates(
        leaves=(7,),
        opened=False,
        candidate=False,
        exhaustive={"dense": 3, "lexical": None},
        depth={"dense": 100, "lexical": 100},
    )
    assert first_cause(fates) == (
        "routing",
        "leaf 7 was not opened; searched in full: dense 3rd of 100 brought, lexical nowhere",
    )


def test_the_summary_is_json_with_a_cure_for_each_cause() -> None:
    misses = [Miss(f"q{at}", "d", cause, "why") for at, cause in enumerate(CAUSES)]
    told = json.loads(json.dumps(summary(misses)))
    assert set(told) == {"misses", "table", "cures"}
    assert set(told["misses"][0]) == {"query_id", "doc_id", "cause", "evidence"}
    assert told["table"] == dict.fromkeys(CAUSES, 1)
    assert told["cures"] == dict(CURES)
