"""The store's whole path: put, search, fold, delete, reopen, go back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fingerpost.errors import FingerprintError, InputError, LockedError, NotFoundError, UsageError
from fingerpost.records import Chunk, Document, Pair
from fingerpost.store import Layout, Store, ties
from fingerpost.text.query import parse

DIM = 16


def make(doc_id: str, text: str, **fields: object) -> tuple[Document, list[Chunk]]:
    """A document cut into chunks of two lines."""
    document = Document(doc_id, text, **fields)  # type: ignore[arg-type]
    lines = text.splitlines(keepends=True)
    chunks, at = [], 0
    for ordinal in range(0, len(lines), 2):
        piece = "".join(lines[ordinal : ordinal + 2])
        name = f"{doc_id}#{ordinal // 2}"
        chunks.append(Chunk(name, doc_id, ordinal // 2, at, at + len(piece), piece, document.title))
        at += len(piece)
    return document, chunks


def vectors(keys: object, seed: int = 0) -> np.ndarray:
    """A unit vector for each key, the same for the same key."""
    rows = [np.random.default_rng([seed, int(key)]).standard_normal(DIM) for key in keys]  # type: ignore[attr-defined]
    found = np.array(rows, dtype=np.float32).reshape(-1, DIM)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def fill(store: Store, *documents: tuple[Document, list[Chunk]]) -> None:
    """Put documents and encode what is new."""
    result = store.put(documents)
    store.put_vectors(result.keys, vectors(result.keys), [b"t%d" % key for key in result.keys])


def fold(store: Store, leaves: int = 3) -> int:
    """Publish everything in reversed key order."""
    live = store.live()
    offsets = np.linspace(0, len(live.keys), leaves + 1).astype(np.int32)
    graph = np.roll(np.arange(len(live.keys), dtype=np.int32), 1)[:, None]
    return store.publish(
        Layout(live.keys[::-1], offsets, live.seq, graph=graph, artifacts={"router.bin": b"r"})
    )


@pytest.fixture
def kb(tmp_path: Path) -> Store:
    with Store.create(tmp_path / "kb", fingerprint="model-a", dim=DIM, policy="p") as store:
        fill(
            store,
            make(
                "keys",
                "rotate the signing key\nevery month\nthen E4012 stops\nand all is well\n",
                title="Keys",
            ),
            make(
                "mail", "mail is queued\nwhen the relay is down\n", metadata={"source": "ops", "year": 2024}
            ),
            make(
                "login",
                "login fails with E4012\nclear the cache\n",
                metadata={"source": "docs", "year": 2021},
            ),
        )
        yield store


def found(store: Store, text: str, k: int = 10) -> list[str]:
    snapshot = store.snapshot()
    keys, _ = snapshot.lexical(parse(text), k=k)
    return [chunk.chunk_id for chunk in snapshot.chunks(keys)]


def test_what_is_put_is_found_in_both_legs_before_and_after_folding(kb: Store) -> None:
    before = kb.snapshot()
    query = vectors([2])[0]
    equals = ["login#0", "keys#1"] if ties.first("login") < ties.first("keys") else ["keys#1", "login#0"]
    assert found(kb, "E4012") == equals
    assert before.dense(query, k=1)[0].tolist() == [2]
    assert fold(kb) == 1
    after = kb.snapshot()
    assert found(kb, "E4012") == equals
    for one, two in zip(before.dense(query, k=4)[:2], after.dense(query, k=4)[:2], strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-6)
    np.testing.assert_allclose(
        before.lexical(parse("E4012 key"), k=4)[1], after.lexical(parse("E4012 key"), k=4)[1], rtol=1e-5
    )
    assert (before.generation, after.generation, after.n_fresh) == (0, 1, 0)


def test_chunks_and_documents_come_back_as_they_were(kb: Store) -> None:
    document, chunks = make(
        "keys", "rotate the signing key\nevery month\nthen E4012 stops\nand all is well\n", title="Keys"
    )
    snapshot = kb.snapshot()
    assert snapshot.chunks([1, 2]) == chunks
    assert snapshot.document("keys") == document
    assert snapshot.text("keys", 7, 18) == "the signing"
    assert snapshot.about(snapshot.doc_keys(np.array([1])))[0].title == "Keys"


def test_an_unchanged_document_costs_nothing_and_a_changed_one_keeps_vectors(kb: Store) -> None:
    same = make("mail", "mail is queued\nwhen the relay is down\n", metadata={"source": "ops", "year": 2024})
    result = kb.put([same])
    assert (result.unchanged, result.updated, len(result.keys)) == (1, 0, 0)
    fold(kb)
    old = kb.snapshot().vectors(np.array([1]))
    text = "rotate the signing key\nevery month\nthen E4012 goes away\nand all is well\n"
    result = kb.put([make("keys", text, title="Keys")])
    assert result.keys.tolist() == [6]
    assert "goes away" in result.passages[0]
    snapshot = kb.snapshot()
    np.testing.assert_array_equal(snapshot.vectors(np.array([5])), old)
    assert bytes(snapshot.token_codes(np.array([5]))[0]) == b"t1"
    assert [key for key, _ in kb.missing_vectors()] == [6]
    assert snapshot.n_missing == 1


def test_deleted_is_gone_in_every_leg_at_once(kb: Store) -> None:
    fold(kb)
    pinned = kb.snapshot()
    assert kb.delete(["login", "login", "nothing"]) == 1
    snapshot = kb.snapshot()
    assert found(kb, "E4012") == ["keys#1"]
    assert 4 not in snapshot.dense(vectors([4])[0], k=10)[0]
    assert 4 not in snapshot.neighbours(np.array([1, 2, 3]))
    with pytest.raises(NotFoundError):
        snapshot.document("login")
    assert pinned.document("login").doc_id == "login"
    assert pinned.n_chunks == 4
    fold(kb)
    assert found(kb, "E4012") == ["keys#1"]
    assert kb.check() == []


def test_reopening_gives_the_same_answers(kb: Store) -> None:
    fold(kb)
    fill(kb, make("new", "the relay answers E4012\n"))
    kb.delete(["mail"])
    query = parse("E4012 relay cache")
    before = kb.snapshot().lexical(query, k=9), kb.snapshot().dense(vectors([5])[0], k=9)
    kb.close()
    with Store.open(kb.path) as reader:
        after = reader.snapshot().lexical(query, k=9), reader.snapshot().dense(vectors([5])[0], k=9)
        for one, two in zip([*before[0], *before[1][:2]], [*after[0], *after[1][:2]], strict=True):
            np.testing.assert_array_equal(one, two)
        assert reader.snapshot().artifact("router.bin") == b"r"


def test_rollback_goes_to_the_slices_before_and_keeps_what_was_written(kb: Store) -> None:
    fold(kb)
    fill(kb, make("new", "the relay answers E4012\n"))
    fold(kb, leaves=2)
    everything = sorted(kb.snapshot().keys().tolist())
    assert kb.rollback() == 3
    snapshot = kb.snapshot()
    assert (snapshot.generation, len(snapshot.leaf_offsets), snapshot.n_fresh) == (3, 4, 1)
    assert sorted(snapshot.keys().tolist()) == everything
    assert kb.missing_vectors() == []
    assert kb.check() == []


def test_new_artifacts_over_the_same_slices(kb: Store) -> None:
    fold(kb)
    assert kb.republish({"fusion.bin": b"f"}) == 2
    assert kb.snapshot().artifact("router.bin") == b"r"
    assert kb.republish({"fusion.bin": b"g"}, drop=["router.bin"]) == 3
    assert kb.snapshot().artifact("fusion.bin") == b"g"
    assert kb.snapshot().artifact("router.bin") is None
    with pytest.raises(UsageError):
        kb.republish({"../x": b""})


def test_rollback_to_artifacts_that_were_published_before_the_first_fold(kb: Store) -> None:
    everything = kb.snapshot().keys().tolist()
    assert kb.republish({"fusion.bin": b"f"}) == 1
    fold(kb)
    assert kb.rollback() == 3
    assert sorted(kb.snapshot().keys().tolist()) == everything
    assert (kb.snapshot().artifact("fusion.bin"), kb.missing_vectors(), kb.check()) == (b"f", [], [])


def test_a_layout_must_hold_exactly_what_stands(kb: Store) -> None:
    live = kb.live()
    for keys, offsets in ((live.keys[1:], [0, 3]), (live.keys, [0, 3]), (live.keys, [0, 5, 4])):
        with pytest.raises(UsageError):
            kb.publish(Layout(keys, np.array(offsets, dtype=np.int32), live.seq))
    kb.put([make("blank", "no vector yet\n")])
    live = kb.live()
    with pytest.raises(UsageError, match="without a vector"):
        kb.publish(Layout(live.keys, np.array([0, len(live.keys)], dtype=np.int32), live.seq))


def test_an_update_during_a_fold_stays_in_the_tail(kb: Store) -> None:
    live = kb.live()
    fill(kb, make("late", "came during the fold\n"))
    kb.delete(["mail"])
    kb.publish(Layout(live.keys, np.array([0, len(live.keys)], dtype=np.int32), live.seq))
    snapshot = kb.snapshot()
    assert (snapshot.n_fresh, snapshot.n_chunks, snapshot.n_missing) == (1, 4, 0)
    assert found(kb, "queued came") == ["late#0"]


def test_a_second_writer_is_told_the_pid_and_readers_need_no_lock(kb: Store) -> None:
    import os

    with pytest.raises(LockedError) as caught:
        Store.open(kb.path, write=True)
    assert caught.value.detail == str(os.getpid())
    with Store.open(kb.path) as reader:
        assert reader.snapshot().n_documents == 3
        fill(kb, make("new", "fresh words\n"))
        assert found(reader, "fresh") == ["new#0"]
        assert reader.snapshot().n_missing == 0
        fold(kb)
        assert reader.snapshot().generation == 1
        with pytest.raises(UsageError):
            reader.delete(["new"])


def test_an_index_of_another_model_is_refused(kb: Store) -> None:
    kb.close()
    with pytest.raises(FingerprintError):
        Store.open(kb.path, fingerprint="model-b")
    with pytest.raises(FingerprintError):
        Store.open(kb.path, policy="q")
    with pytest.raises(UsageError, match="holds an index"):
        Store.create(kb.path, fingerprint="model-a", dim=DIM)
    with pytest.raises(NotFoundError):
        Store.open(kb.path / "nowhere")


def test_what_cannot_be_kept_is_refused_whole(kb: Store) -> None:
    for doc_id in ("", " ", "a\x00b", "x" * 513, "\ud800"):
        with pytest.raises(InputError):
            kb.put([make("fine", "words\n"), make(doc_id, "text\n")])
    document, chunks = make("bad", "one\ntwo\nthree\n")
    with pytest.raises(InputError):
        kb.put([(document, [chunks[0], Chunk("x", "bad", 1, 0, 2, "zz")])])
    with pytest.raises(InputError):
        kb.put([make("bad", "lone \ud800 surrogate\n")])
    with pytest.raises(InputError):
        kb.put([make("bad", "text\n", metadata={"x": 2**70})])
    assert kb.snapshot().n_documents == 3


def test_without_a_model_the_lexical_leg_works_alone(tmp_path: Path) -> None:
    with Store.create(tmp_path / "kb", fingerprint="none", dim=0) as store:
        result = store.put([make("a", "plain words\n"), make("b", "other words\n")])
        assert len(result.keys) == 0
        live = store.live()
        store.publish(Layout(live.keys, np.array([0, 2], dtype=np.int32), live.seq))
        assert found(store, "plain") == ["a#0"]
        with pytest.raises(UsageError):
            store.snapshot().dense(np.ones(16, dtype=np.float32), k=3)


def test_pairs_are_kept_once_and_go_with_their_document(kb: Store) -> None:
    pairs = [Pair("how to rotate", "keys"), Pair("why E4012", "login", origin="title")]
    assert kb.add_pairs(pairs) == 2
    assert kb.add_pairs(pairs) == 0
    assert kb.add_pairs([Pair("E4012 cause", "login", origin="title")], instead_of=["title"]) == 1
    kb.delete(["keys"])
    assert [pair.query for pair in kb.pairs()] == ["E4012 cause"]


def test_the_last_of_two_documents_with_one_id_wins(kb: Store) -> None:
    kb.put([make("twin", "first words\n"), make("twin", "second words\n")])
    assert kb.snapshot().document("twin").text == "second words\n"
    assert kb.delete(["twin"]) == 1
    kb.put([make("twin", "third words\n")])
    assert found(kb, "first second third") == ["twin#0"]


def test_a_pinned_snapshot_outlives_the_fold(kb: Store) -> None:
    pinned = kb.snapshot()
    keys = pinned.keys()
    before = pinned.vectors(keys), [bytes(code) for code in pinned.token_codes(keys)], pinned.chunks(keys)
    fold(kb)
    fill(kb, make("more", "fresh words\n"))
    fold(kb)
    after = pinned.vectors(keys), [bytes(code) for code in pinned.token_codes(keys)], pinned.chunks(keys)
    np.testing.assert_array_equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert sorted(path.name for path in kb.path.glob("gen-*")) == ["gen-000001", "gen-000002"]


def test_one_document_updated_again_and_again_takes_no_more_room(kb: Store) -> None:
    for number in range(300):
        fill(kb, make("mail", f"mail number {number}\nis queued\nand sent\n"))
        kb.snapshot()
    snapshot = kb.snapshot()
    assert (snapshot.n_fresh, snapshot.n_chunks) == (5, 5)
    assert snapshot._view.tail.count < 300, "dead rows are dropped on the way"
    assert found(kb, "number 299") == ["mail#0"]
    del snapshot  # what a view may read is kept
    fold(kb)
    fold(kb)
    rows = kb._ledger.rows("SELECT count(*) FROM documents")
    assert rows[0][0] == 3, "versions that ended before the last generation are gone"


def test_one_chunk_of_a_large_document_inflates_only_its_pages(kb: Store) -> None:
    text = "".join(f"line {number} of many\n" for number in range(20_000))
    fill(kb, make("large", text))
    kb._ledger._pages.clear()
    keys, _ = kb.snapshot().lexical(parse("19998"), k=1)
    kb._ledger._pages.clear()
    assert kb.snapshot().chunks(keys)[0].text == "line 19998 of many\nline 19999 of many\n"
    assert len(kb._ledger._pages) <= 2
    assert kb.snapshot().document("large").text == text


def test_what_the_tail_and_the_base_know_of_a_term(kb: Store) -> None:
    terms = ["e4012", "relay", "absent"]
    before = kb.snapshot().idf(terms)
    fold(kb)
    np.testing.assert_array_equal(kb.snapshot().idf(terms), before)
    assert before[2] > before[1] > before[0]
    docs = kb.snapshot().doc_keys(np.array([1, 4]))
    assert sorted(kb.snapshot().chunk_keys(docs)) == [1, 2, 4]


@pytest.mark.parametrize("folded", [True, False])
def test_of_a_pasted_page_the_rarest_words_are_looked_up(kb: Store, folded: bool) -> None:
    common = " ".join(f"common{at:02}" for at in range(80))
    fill(kb, *(make(f"page-{at}", common) for at in range(4)), make("rare", "a pelican\n"))
    if folded:
        fold(kb)
    noise = " ".join(f"nowhere{at}" for at in range(100))
    assert "rare#0" in found(kb, f"{common} {noise} pelican")
    assert set(found(kb, f"{noise} {common}")) == {f"page-{at}#0" for at in range(4)}


@pytest.mark.parametrize("drift", [0.0, 1.0], ids=["written anew", "segments taken over"])
def test_a_fold_forgets_removed_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drift: float) -> None:
    """Whether the lexical index is written anew or changed, it finds what stands and knows its lengths."""
    monkeypatch.setattr("fingerpost.store.publish._SMALL", 0)
    monkeypatch.setattr("fingerpost.store.publish._DRIFT", drift)
    with Store.create(tmp_path / "kb", fingerprint="f", dim=DIM) as store:
        fill(store, *(make(f"d{at}", f"amber number{at} E{at:04d}\n" * (1 + at % 3)) for at in range(20)))
        fold(store)
        store.delete([f"d{at}" for at in range(0, 20, 2)])
        fill(store, make("new", "amber E9999\n"))
        fold(store)
        held = store._state.generation
        assert held.lexical is not None
        assert held.lexical.documents == len(held.keys)
        assert held.lexical.statistics["body"].documents == len(held.keys) + (13 if drift else 0)
        keys, _ = store.snapshot().lexical(parse("amber"), k=100)
        assert sorted(keys.tolist()) == sorted(held.keys.tolist())
        body, named = store._state.terms(held.keys.tolist())
        assert held.lengths is not None
        assert held.lengths.tolist() == [[len(b), len(c)] for b, c in zip(body, named, strict=True)]
        assert store.check() == []


@pytest.mark.parametrize("seed", range(4))
def test_a_store_that_stays_open_sees_what_one_that_is_opened_anew_does(tmp_path: Path, seed: int) -> None:
    """Versions come, change and go, some chunks get their vector late, and it is looked at now and then."""
    draw = np.random.default_rng(seed)

    def seen(store: Store) -> tuple[object, ...]:
        snapshot = store.snapshot()
        keys, _ = snapshot.lexical(parse("word"), k=200)
        near, scores, _ = snapshot.dense(vectors([1])[0], k=200)
        lacking = [key for key, _ in store.missing_vectors(500)]
        assert snapshot.n_missing == len(lacking) == store.desk.n_missing
        return sorted(keys.tolist()), near.tolist(), scores.tolist(), lacking, store.check()

    with Store.create(tmp_path / "kb", fingerprint="model-a", dim=DIM) as store:
        for step in range(120):
            name = f"doc{draw.integers(12)}"
            if draw.random() < 0.2:
                store.delete([name])
            else:
                lines = "".join(f"word {step} line {line}\n" for line in range(draw.integers(1, 7)))
                store.put([make(name, lines)])
            waiting = [key for key, _ in store.missing_vectors(500)]
            some = [key for key in waiting if draw.random() < 0.6]
            store.put_vectors(some, vectors(some))
            if step in (40, 80):
                store.put_vectors(waiting, vectors(waiting))
                fold(store)
            if draw.random() < 0.3:
                with Store.open(tmp_path / "kb") as anew:
                    assert seen(store) == seen(anew)
