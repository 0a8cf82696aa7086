"""Filters and access labels: exact in every leg, hostile values are values, reserved keys are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fingerpost.config import Settings
from fingerpost.errors import NotFoundError, UsageError
from fingerpost.records import Chunk, Document
from fingerpost.store import Filter, Layout, Store
from fingerpost.text.query import parse

DIM = 8
COUNT = 900


def entry(at: int) -> tuple[Document, list[Chunk]]:
    """Every third from docs, a path, a date, a number, a truth value; one in ninety is rare."""
    text = f"common words number {at} " + ("rare " if at % 90 == 0 else "") + "common " * (at % 5)
    metadata = {
        "source": ("docs", "tickets", "'; DROP TABLE documents; --")[at % 3],
        "path": f"guides/part{at % 7}/page{at}.md",
        "modified": f"20{10 + at % 15}-03-01",
        "stars": at % 11,
        "draft": at % 2 == 0,
    }
    return Document(f"d{at}", text, metadata=metadata), [Chunk(f"d{at}#0", f"d{at}", 0, 0, len(text), text)]


def unit(seed: int, count: int = 1) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, DIM))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module", params=["base", "half", "tail"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The same documents folded, half folded with tombstones, and all in the tail."""
    folded = {"base": COUNT, "half": COUNT // 2, "tail": 0}[request.param]
    with Store.create(tmp_path_factory.mktemp("filters") / "kb", fingerprint="f", dim=DIM) as store:
        for start, end in ((0, folded), (folded, COUNT)):
            result = store.put(entry(at) for at in range(start, end))
            store.put_vectors(result.keys, unit(start, len(result.keys)))
            if start == 0 and folded:
                live = store.live()
                store.publish(Layout(live.keys, np.array([0, 100, folded], dtype=np.int32), live.seq))
        store.delete(["d3", "d90"])
        yield store


FILTERS = [
    ("source:docs", lambda d: d.metadata["source"] == "docs"),
    ("source:'; DROP TABLE documents; --", lambda d: "DROP" in d.metadata["source"]),
    ("path:guides/part3/*", lambda d: "/part3/" in d.metadata["path"]),
    ("path:guides/part?/page1?.md", lambda d: d.doc_id in {f"d{at}" for at in range(10, 20)}),
    ("modified:>=2020-01-01", lambda d: d.metadata["modified"] >= "2020-01-01"),
    ("modified:<2012-06-01", lambda d: d.metadata["modified"] < "2012-06-01"),
    ("stars:>8", lambda d: d.metadata["stars"] > 8),
    ("stars:5", lambda d: d.metadata["stars"] == 5),
    ("stars:<=1.5", lambda d: d.metadata["stars"] <= 1.5),
    ("draft:true", lambda d: d.metadata["draft"]),
    ("doc_id:d7", lambda d: d.doc_id == "d7"),
    ("path:[g]uides/*", lambda d: False),
    ("source:nothing", lambda d: False),
]


@pytest.mark.parametrize(("text", "wanted"), FILTERS, ids=[text for text, _ in FILTERS])
def test_a_filter_is_exact_in_both_legs(store: Store, text: str, wanted: object) -> None:
    snapshot = store.snapshot()
    documents = [d for d in (entry(at)[0] for at in range(COUNT)) if d.doc_id not in ("d3", "d90")]
    expected = {d.doc_id for d in documents if wanted(d)}  # type: ignore[operator]
    allow = snapshot.allow(text)
    assert allow is not None
    assert allow.n_chunks == len(expected)
    query, vector = parse("common words rare"), unit(77)[0]
    for k in (5, 2_000):
        keys, scores = snapshot.lexical(query, k=k, allow=allow)
        ids = [chunk.doc_id for chunk in snapshot.chunks(keys)]
        assert set(ids) <= expected
        assert len(ids) == min(k, len(expected))
        every, scored = snapshot.lexical(query, k=2_000)
        named = dict(zip(every.tolist(), scored.tolist(), strict=True))
        ranked = sorted(
            (-named[key], key) for key in named if key in set(snapshot.keys(allow=allow).tolist())
        )
        np.testing.assert_allclose(scores, [-score for score, _ in ranked[:k]], rtol=1e-5)
        keys, _, counted = snapshot.dense(vector, k=k, allow=allow)
        assert {chunk.doc_id for chunk in snapshot.chunks(keys)} <= expected
        assert (len(keys), counted) == (min(k, len(expected)), len(expected))


def test_several_filters_hold_together(store: Store) -> None:
    snapshot = store.snapshot()
    allow = snapshot.allow(["source:docs", "stars:>=5", "draft:false"])
    assert allow is not None
    found = [chunk.doc_id for chunk in snapshot.chunks(snapshot.keys(allow=allow))]
    good = [
        f"d{at}"
        for at in range(COUNT)
        if at % 3 == 0 and at % 11 >= 5 and at % 2 and f"d{at}" not in ("d3", "d90")
    ]
    assert sorted(found) == sorted(good)


@pytest.mark.parametrize(
    "text",
    [
        "acl:ops",
        "labels:x",
        "ACL:*",
        "no colon",
        "source:",
        ":docs",
        "unknown:1",
        "__proto__:1",
        "../x:1",
        "$where:1",
        "source:a\x00b",
        "source:\ud800",
        "source:" + "x" * 2_000,
        ["source:docs"] * 100_000,
        [7],
        "source;drop:1",
    ],
)
def test_what_is_not_a_filter_is_refused(store: Store, text: object) -> None:
    with pytest.raises(UsageError) as caught:
        store.snapshot().allow(text)  # type: ignore[arg-type]
    assert caught.value.code == "E_FILTER"


def test_the_snapshot_refuses_what_it_cannot_do(store: Store) -> None:
    snapshot = store.snapshot()
    for k in (0, -1, 2**31, 2**63, 1.5, "10", None, True):
        with pytest.raises(UsageError):
            snapshot.lexical(parse("common"), k=k)  # type: ignore[arg-type]
    for vector in (np.zeros(DIM), np.full(DIM, np.nan), np.full(DIM, np.inf), np.ones(3), np.full(DIM, 1e38)):
        with pytest.raises(UsageError):
            snapshot.dense(vector.astype(np.float32), k=3)
    for hostile in (
        '" OR 1=1 --',
        "NEAR(, col:*",
        "body:common AND",
        '"unbalanced',
        "key:1",
        "(((((",
        "^1e308",
    ):
        snapshot.lexical(parse(hostile), k=3)
    with pytest.raises(UsageError):
        snapshot.allow(None, "ops")


@pytest.fixture
def labelled(tmp_path: Path) -> Iterator[Store]:
    """One document without labels, which this index was made to show."""
    shows = Settings.model_validate({"store": {"unlabelled": "visible"}})
    with Store.create(tmp_path / "kb", fingerprint="f", dim=DIM, settings=shows) as store:
        documents = []
        for name, labels in (("open", None), ("ops", ("ops",)), ("both", ("ops", "dev")), ("nobody", ())):
            text = f"secret plan of {name}"
            chunk = Chunk(f"{name}#0", name, 0, 0, len(text), text)
            documents.append((Document(name, text, metadata={f"only_{name}": 1}, labels=labels), [chunk]))
        result = store.put(documents)
        store.put_vectors(result.keys, unit(5, 4))
        yield store


def seen(store: Store, principals: list[str] | None) -> set[str]:
    snapshot = store.snapshot()
    allow = snapshot.allow(None, principals)
    lexical, _ = snapshot.lexical(parse("secret plan"), k=9, allow=allow)
    dense, _, scored = snapshot.dense(unit(1)[0], k=9, allow=allow)
    assert sorted(lexical) == sorted(dense)
    assert scored == len(dense)
    return {chunk.doc_id for chunk in snapshot.chunks(dense)}


@pytest.mark.parametrize("folded", [False, True])
def test_labels_deny_by_default_and_revocation_is_immediate(labelled: Store, folded: bool) -> None:
    if folded:
        live = labelled.live()
        labelled.publish(Layout(live.keys, np.array([0, 4], dtype=np.int32), live.seq))
    assert seen(labelled, None) == seen(labelled, []) == seen(labelled, ["stranger", "*"]) == {"open"}
    assert seen(labelled, ["dev"]) == {"open", "both"}
    assert seen(labelled, ["ops", "other"]) == {"open", "ops", "both"}
    assert labelled.relabel({"both": ("ops",), "nothing": ("ops",)}) == 1
    assert seen(labelled, ["dev"]) == {"open"}
    assert labelled.relabel({"nobody": None}) == 1
    assert seen(labelled, ["dev"]) == {"open", "nobody"}


def test_a_hidden_document_looks_like_a_missing_one(labelled: Store) -> None:
    snapshot = labelled.snapshot()
    allow = snapshot.allow(None, ["dev"])
    errors = []
    for name in ("ops", "missing"):
        with pytest.raises(NotFoundError) as caught:
            snapshot.document(name, allow=allow)
        errors.append(str(caught.value).replace(name, "NAME"))
    assert errors[0] == errors[1]
    for key in ("only_ops", "only_missing"):
        with pytest.raises(UsageError, match="no document has the metadata key"):
            snapshot.allow(f"{key}:1", ["dev"])
    assert snapshot.allow("only_ops:1", ["ops"]).n_chunks == 1  # type: ignore[union-attr]


def test_content_updates_keep_labels_unless_they_bring_some(labelled: Store) -> None:
    text = "secret plan of ops, revised"
    chunk = Chunk("ops#0", "ops", 0, 0, len(text), text)
    labelled.put([(Document("ops", text, metadata={"only_ops": 1}), [chunk])])
    assert labelled.snapshot().document("ops").labels == ("ops",)
    labelled.put([(Document("ops", text, metadata={"only_ops": 1}, labels=("dev",)), [chunk])])
    assert labelled.snapshot().document("ops").labels == ("dev",)


def test_an_allow_is_of_its_snapshot(labelled: Store) -> None:
    old = labelled.snapshot()
    allow = old.allow(None, ["dev"])
    labelled.delete(["open"])
    with pytest.raises(UsageError, match="another snapshot"):
        labelled.snapshot().lexical(parse("plan"), k=3, allow=allow)


def test_a_filter_is_a_value() -> None:
    assert Filter.parse("a:=x*").conditions[0].operator == "="
    assert Filter.parse(["a:1", "b:>2"]) == Filter.parse(["a:1", "b:>2"])
