"""A damaged file never gives a wrong answer: a named error, the identical answer, or a counted gap."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.seeds import seeds

from fingerpost.errors import FingerpostError, NotFoundError
from fingerpost.records import Pair
from fingerpost.store import Layout, Store
from fingerpost.text.query import parse

sys.path.insert(0, str(Path(__file__).parent))
from worker import document, encode

QUERIES = [parse(text) for text in ("doc3 stands", "version word5", "v11 v12 more", "nowhere")]
NAMES = [f"doc{i}" for i in range(24)]


def put(store: Store, names: list[str], version: int) -> None:
    result = store.put(
        (
            lambda d: (
                d[0].__class__(d[0].doc_id, d[0].text, metadata=d[0].metadata, labels=labels(name)),
                d[1],
            )
        )(document(name, version + at))
        for at, name in enumerate(names)
    )
    store.put_vectors(result.keys, encode(result.passages), [b"%d" % key for key in result.keys])


def labels(name: str) -> tuple[str, ...] | None:
    return ("ops",) if name in ("doc2", "doc20") else None


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with a base, tombstones, a tail, labels, pairs and an artifact."""
    folder = tmp_path_factory.mktemp("damage") / "kb"
    with Store.create(folder, fingerprint="f", dim=8) as store:
        put(store, NAMES[:18], 5)
        store.add_pairs([Pair("which word", "doc3"), Pair("what stands", "doc4")])
        live = store.live()
        offsets = np.array([0, 9, len(live.keys)], dtype=np.int32)
        graph = np.roll(np.arange(len(live.keys), dtype=np.int32), 3)[:, None]
        artifacts = {"router.bin": b"weights" * 9}
        store.publish(Layout(live.keys, offsets, live.seq, graph=graph, artifacts=artifacts))
        put(store, NAMES[16:], 30)
        store.delete(["doc1", "doc17"])
    return folder


def answers(folder: Path) -> list[object]:
    """Everything a reader can ask; None where the store itself says that vectors are missing."""
    with Store.open(folder) as store:
        snapshot = store.snapshot()
        if snapshot.n_missing:
            return []
        found: list[object] = [snapshot.n_chunks, snapshot.n_documents, snapshot.generation]
        keys = snapshot.keys()
        allow = snapshot.allow("version:>=9", ["ops"])
        for query in QUERIES:
            found += [part.tolist() for part in snapshot.lexical(query, k=5)]
            found += [part.tolist() for part in snapshot.lexical(query, k=5, allow=allow)]
        for vector in encode(("one", "two")):
            found += [np.asarray(part).tolist() for part in snapshot.dense(vector, k=5)]
            found += [np.asarray(part).tolist() for part in snapshot.dense(vector, k=5, allow=allow)]
        found += [snapshot.chunks(keys), snapshot.vectors(keys).tolist(), snapshot.neighbours(keys).tolist()]
        found += [[bytes(code) for code in snapshot.token_codes(keys)], snapshot.leaf_of(keys).tolist()]
        found += [there(snapshot, name) for name in NAMES]
        found += [list(store.pairs()), snapshot.artifact("router.bin"), store.fingerprint, store.settings]
        return found


def there(snapshot: object, name: str) -> object:
    try:
        return snapshot.document(name)  # type: ignore[attr-defined]
    except NotFoundError:
        return None


@contextmanager
def damaged(path: Path, body: bytes) -> Iterator[None]:
    """A damaged file in the place of ``path``; not the same inode, which a reader may still map."""
    whole = path.rename(path.with_name(path.name + ".whole"))
    path.write_bytes(body)
    try:
        yield
    finally:
        whole.replace(path)


def damage(body: bytes, choice: random.Random) -> bytes:
    """One bit flipped, or cut short, or two blocks exchanged."""
    kind = choice.random()
    at = choice.randrange(len(body))
    if kind < 0.8:
        return body[:at] + bytes([body[at] ^ (1 << choice.randrange(8))]) + body[at + 1 :]
    if kind < 0.9:
        return body[:at]
    half = len(body) // 2
    return body[half:] + body[:half]


def campaign(kb: Path, *, trials: int, seed: int) -> dict[str, int]:
    """Damage a random file each time; returns how often each outcome was seen."""
    choice, expected = random.Random(seed), answers(kb)
    assert expected
    files = [path for path in sorted(kb.rglob("*")) if path.is_file() and path.stat().st_size]
    outcomes = {"same": 0, "error": 0, "counted": 0}
    for number in range(trials):
        path = choice.choice(files) if choice.random() < 0.6 else kb / "ledger.db"
        with damaged(path, damage(path.read_bytes(), choice)):
            try:
                found = answers(kb)
            except FingerpostError:
                outcomes["error"] += 1
                continue
        assert found == expected or not found, f"a wrong answer: {path.name}, seed {seed}, trial {number}"
        outcomes["same" if found else "counted"] += 1
    assert answers(kb) == expected
    return outcomes


def test_two_hundred_flips(kb: Path, record_property: Callable[[str, object], None]) -> None:
    record_property("trials", 200)
    outcomes = campaign(kb, trials=200, seed=1)
    assert outcomes["error"] > 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(2, 12))
def test_twenty_thousand_flips(kb: Path, seed: int, record_property: Callable[[str, object], None]) -> None:
    record_property("seed", seed)
    record_property("trials", 2_000)
    campaign(kb, trials=2_000, seed=seed)


def test_a_lost_end_of_the_ledger_is_noticed(tmp_path: Path) -> None:
    """An old copy of the ledger beside a newer index; and a ledger without its newest writes."""
    folder = tmp_path / "kb"
    with Store.create(folder, fingerprint="f", dim=8) as store:
        put(store, NAMES[:3], 1)
    old = (folder / "ledger.db").read_bytes()
    with Store.open(folder, write=True) as store:
        store.delete(["doc1"])
    (folder / "ledger.db").write_bytes(old)
    with pytest.raises(FingerpostError, match="acknowledged"):
        Store.open(folder)


@pytest.mark.parametrize("name", ["MANIFEST", "ledger.db", "gen-000001/keys.npy", "gen-000001/vectors.i8"])
def test_a_missing_file_is_named(kb: Path, name: str) -> None:
    path = kb / name
    path.rename(path.with_suffix(".away"))
    try:
        with pytest.raises(FingerpostError):
            Store.open(kb)
    finally:
        path.with_suffix(".away").rename(path)


def test_doctor_names_the_damaged_file(kb: Path) -> None:
    path = kb / "gen-000001" / "vectors.f16"
    body = bytearray(path.read_bytes())
    body[7] ^= 1
    with Store.open(kb) as store:
        assert store.check() == []
        with damaged(path, bytes(body)):
            assert [finding.file for finding in store.check()] == ["gen-000001/vectors.f16"]


def test_without_digests_damage_is_believed(
    kb: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """The campaign would notice: with the digests of files unchecked, one bit changes an answer."""
    record_property("control", "digests of files not checked")
    expected, path = answers(kb), kb / "gen-000001" / "vectors.f16"
    monkeypatch.setattr("fingerpost.store.generation.verify", lambda folder, manifest, how: [])
    body = bytearray(path.read_bytes())
    body[8] ^= 4
    with damaged(path, bytes(body)):
        assert answers(kb) != expected
