"""The router may never hide a document: each safeguard is shown by what would be lost without it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fingerpost
from fingerpost.index.epoch import ROUTER
from fingerpost.records import Plan, Trace
from fingerpost.route.router import Calibration, Router
from fingerpost.text.query import parse

TOPICS = {
    "sea": "tide harbour sailor anchor storm lighthouse",
    "kitchen": "oven bread flour butter recipe dough",
    "law": "court judge contract statute appeal verdict",
    "music": "violin concert melody orchestra rhythm sonata",
    "space": "orbit rocket planet telescope comet gravity",
    "garden": "rose pruning soil compost seedling hedge",
}
A_TOPIC = 40


def routed(**route: object) -> fingerpost.Settings:
    """One leaf of sixteen chunks, no hop: whatever else is found, a safeguard found."""
    given = {"full_below": 0, "leaf_chunks": 16, "budget": 0.01, "audit": 0.0, **route}
    return fingerpost.Settings.model_validate(
        {"route": given, "retrieve": {"hop": False, "depth": 20}, "store": {"late": False}}
    )


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("safety")
    rng = np.random.default_rng(0)
    with (folder / "pages.jsonl").open("w") as file:
        for topic, words in TOPICS.items():
            for at in range(A_TOPIC):
                text = f"About {topic}: " + " ".join(rng.choice(words.split(), 6)) + "."
                if (topic, at) == ("law", 7):
                    text += " The clerk's name is Quibblethorpe."
                record = {"_id": f"{topic}{at}", "title": topic, "text": text}
                file.write(json.dumps(record) + "\n")
    fingerpost.compile(folder / "pages.jsonl", to=folder / "kb", settings=routed()).close()
    return folder / "kb"


def asked(index: fingerpost.Index, query: str, k: int = 10) -> tuple[list[str], Plan, Trace]:
    spans, trace = index.trace(query, k=k)
    assert trace.plan is not None
    return [span.doc_id for span in spans], trace.plan, trace


def test_a_routed_search_looks_at_little(kb: Path) -> None:
    with fingerpost.open(kb, settings=routed()) as index:
        _, plan, trace = asked(index, "a sailor in the storm")
    assert not plan.full
    assert trace.stages[2].counts["scored"] < 0.2 * len(TOPICS) * A_TOPIC


def test_few_chunks_are_searched_in_full(kb: Path) -> None:
    with fingerpost.open(kb, settings=routed(full_below=50_000)) as index:
        _, plan, trace = asked(index, "a sailor in the storm")
    assert plan.full
    assert trace.stages[2].counts["scored"] >= len(TOPICS) * A_TOPIC
    assert "240 chunks, routing starts at 50,000" in plan.reason


def test_a_query_unlike_those_calibrated_on_is_searched_in_full(own: Path) -> None:
    with fingerpost.open(own, write=True, settings=routed()) as index:
        assert not asked(index, "a sailor in the storm")[1].full
        router = _router(index)
        near = router.familiarity(_vector(index, "a sailor in the storm"))
        far = router.familiarity(_vector(index, "quarterly dividend of the bank"))
        calibrated = replace(router, calibration=Calibration(familiar=(near + far) / 2))
        index._rooms.store.republish({ROUTER: calibrated.to_bytes()})
        assert not asked(index, "a sailor in the storm")[1].full
        _, plan, trace = asked(index, "quarterly dividend of the bank")
        assert plan.full
        assert "unlike the queries calibrated on" in plan.reason
        assert trace.stages[2].counts["scored"] >= len(TOPICS) * A_TOPIC


@pytest.mark.parametrize("leaves", ["fewer", "as many"])
def test_a_router_of_another_epoch_is_not_believed(own: Path, leaves: str) -> None:
    """It is published through the store, digests and all: nothing but its own check is left."""
    with fingerpost.open(own, write=True, settings=routed()) as index:
        truth = asked(index, "a rocket to the planet")
        router, count = _router(index), _router(index).n_leaves
        sizes = router.statistics.counts.copy()
        if leaves == "fewer":
            sizes, count = sizes[1:], count - 1
        else:
            sizes[:2] += (1, -1)
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        rows = np.eye(384, dtype=np.float32)[np.arange(offsets[-1]) % 384]
        other = Router.fit_statistics(rows, offsets, addresses=router.addresses[-count:])
        index._rooms.store.republish({ROUTER: other.to_bytes()})
        found, plan, trace = asked(index, "a rocket to the planet")
        assert plan.full
        assert "the router" in plan.reason
        assert plan.reason in trace.stages[1].note
        assert set(truth[0]) <= {f"space{at}" for at in range(A_TOPIC)}
        assert set(found) <= {f"space{at}" for at in range(A_TOPIC)}
        index.update(_page(own.parent, "later", "a page that comes later"))
        assert "space" in asked(index, "a rocket to the planet")[0][0]


def test_bm25_is_never_routed(kb: Path) -> None:
    """The page is in a leaf that is not opened, and is found by its word all the same."""
    query = "bread dough, Quibblethorpe"
    with fingerpost.open(kb, settings=routed()) as index:
        found, plan, _ = asked(index, query, k=40)
        snapshot = index._rooms.store.snapshot()
        home = int(snapshot.leaf_of(snapshot.chunk_keys(np.array([snapshot.doc_key("law7")])))[0])
        assert not plan.full
        assert home not in plan.leaves
        dense = snapshot.dense(_vector(index, query), k=20, leaves=np.array(plan.leaves, np.int32))[0]
        assert snapshot.doc_key("law7") not in snapshot.doc_keys(dense)
        assert "law7" in found


def test_the_fresh_tail_is_always_scanned(own: Path) -> None:
    """The new page shares no word with the query and lies in no leaf."""
    query = "vessel crews facing hurricanes"
    with fingerpost.open(own, write=True, settings=routed()) as index:
        index.update(_page(own.parent, "new", "Mariners on their ships weather cyclones."))
        found, plan, trace = asked(index, query)
        snapshot = index._rooms.store.snapshot()
        assert not plan.full
        assert not len(snapshot.lexical(parse(query), k=20)[0])
        assert snapshot.n_fresh == 1
        assert found[0].endswith("new.md")
        assert trace.stages[2].counts["scored"] < 0.2 * len(TOPICS) * A_TOPIC


def test_audits_find_a_router_out_and_every_trace_says_why(own: Path) -> None:
    """The same queries, routed without audits, lose what the breach brings back."""
    queries = [f"{words.split()[at % 6]} and {words.split()[(at + 1) % 6]} number {at}"
               for at in range(12) for words in TOPICS.values()]  # fmt: skip
    with fingerpost.open(own, settings=routed(audit=1.0, recall=1.0)) as index:
        reasons = [asked(index, query)[1].reason for query in queries]
        assert all(reasons)
        assert reasons[0].startswith("optimist")
        assert "audits found recall" in reasons[-1]
        assert "audits found recall" in str(index.status()["advice"])
        assert asked(index, "a sailor in the storm")[2].stages[2].counts["scored"] >= 240
    with fingerpost.open(own, settings=routed()) as index:
        assert all(asked(index, query)[1].reason.startswith("optimist") for query in queries)


@pytest.fixture
def own(kb: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(kb, tmp_path / "kb"))


def _page(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.md"
    path.write_text(text + "\n")
    return path


def _router(index: fingerpost.Index) -> Router:
    router = index._rooms.epoch(index._rooms.store.snapshot()).router
    assert router is not None
    return router


def _vector(index: fingerpost.Index, text: str) -> np.ndarray:
    assert index._rooms.encoder is not None
    return index._rooms.encoder.encode_query(text).vector
