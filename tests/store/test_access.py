"""Documents without labels once there are labels: hidden in every leg, at once, everywhere and for good."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from fingerpost.config import Settings, Unlabelled
from fingerpost.errors import CorruptError, NotFoundError
from fingerpost.records import Chunk, Document
from fingerpost.store import Layout, Store, copies, repair
from fingerpost.store.digest import digest
from fingerpost.store.isolated import Isolated
from fingerpost.store.past import AsOf
from fingerpost.store.points import Points
from fingerpost.store.snapshot import Snapshot
from fingerpost.text.query import parse

DIM = 4
ANY = np.ones(DIM, dtype=np.float32)
Labels = tuple[str, ...] | None


def put(store: Store, name: str, labels: Labels = None) -> None:
    text = f"zebra {name}"
    whole = Document(name, text, labels=labels, metadata={"kind": "animal"})
    result = store.put([(whole, [Chunk(f"{name}#0", name, 0, 0, len(text), text)])])
    store.put_vectors(result.keys, np.ones((len(result.keys), DIM)))


def fold(store: Store) -> None:
    live = store.live()
    store.publish(Layout(live.keys, np.array([0, len(live.keys)], dtype=np.int32), live.seq))


def created(path: Path, rule: Unlabelled = "until-labels") -> Store:
    chosen = Settings.model_validate({"store": {"unlabelled": rule}})
    return Store.create(path, fingerprint="f", dim=DIM, settings=chosen)


def seen(snapshot: Snapshot, *principals: str) -> set[str]:
    """What each leg, names, counts and a filter show: the same to the last document."""
    allow = snapshot.allow(None, principals)
    words, _ = snapshot.lexical(parse("zebra"), k=100, allow=allow)
    near, _, scored = snapshot.dense(ANY, k=100, allow=allow)
    found = {chunk.doc_id for chunk in snapshot.chunks(words)}
    assert {chunk.doc_id for chunk in snapshot.chunks(near)} == found
    assert {chunk.doc_id for chunk in snapshot.chunks(snapshot.keys(allow=allow))} == found
    assert scored == len(found) == (snapshot.n_documents if allow is None else allow.n_chunks)
    assert snapshot.missing(allow) == 0
    for name in ("open", "other", "shut"):
        try:
            snapshot.document(name, allow=allow)
        except NotFoundError:
            assert name not in found
        else:
            assert name in found
    kinds = snapshot.allow("kind:animal", principals) if found else None
    assert kinds is None or kinds.n_chunks == len(found)
    alone, _ = Isolated(snapshot, allow).lexical(parse("zebra"), k=100)
    assert {chunk.doc_id for chunk in snapshot.chunks(alone)} == found
    return found


@pytest.fixture(params=["base", "tail"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Two documents without labels."""
    with created(tmp_path / "kb") as store:
        put(store, "open")
        put(store, "other")
        if request.param == "base":
            fold(store)
        yield store


@pytest.mark.parametrize("bring", ["put", "relabel", "nobody"])
def test_the_first_labels_hide_what_has_none(store: Store, bring: str) -> None:
    """In a view that is held already, and in its remembered permissions, too."""
    kept = store.snapshot()
    with Store.open(store.path) as reader:
        pinned = reader.snapshot()
        for snapshot in (kept, pinned):
            assert seen(snapshot) == seen(snapshot, "ops") == {"open", "other"}
        if bring == "relabel":
            store.relabel({"other": ("ops",)})
        else:
            put(store, "shut", ("ops",) if bring == "put" else ())
        mine = {"put": {"shut"}, "relabel": {"other"}, "nobody": set()}[bring]
        for snapshot in (store.snapshot(), reader.snapshot()):
            assert seen(snapshot) == set()
            assert seen(snapshot, "ops") == mine
        for snapshot in (kept, pinned):
            assert seen(snapshot) == set()
            assert seen(snapshot, "ops") == mine - {"shut"}


def test_another_process_sees_them_no_more(store: Store) -> None:
    asking = (
        "import sys\nfrom fingerpost.store import Store\n"
        "with Store.open(sys.argv[1]) as store:\n"
        "    for line in sys.stdin:\n"
        "        snapshot = store.snapshot()\n"
        "        print(len(snapshot.keys(allow=snapshot.allow())), flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", asking, str(store.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None

        def count() -> int:
            print("?", file=other.stdin, flush=True)
            return int(other.stdout.readline())  # type: ignore[union-attr]

        assert count() == 2
        store.relabel({"other": ("ops",)})
        assert count() == 0
        store.delete(["other"])
        assert count() == 0
        other.stdin.close()


def deleted(store: Store) -> None:
    store.delete(["shut"])


def unlabelled_again(store: Store) -> None:
    store.relabel({"shut": None})


def forgotten(store: Store) -> None:
    store.delete(["shut"])
    for _ in range(2):
        fold(store)
        store.forget()


def rolled_back(store: Store) -> None:
    fold(store)
    store.delete(["shut"])
    fold(store)
    store.rollback()


@pytest.mark.parametrize("end", [deleted, unlabelled_again, forgotten, rolled_back])
def test_the_end_of_the_last_labels_opens_nothing(
    store: Store, end: Callable[[Store], None], tmp_path: Path
) -> None:
    put(store, "shut", ("ops",))
    end(store)
    assert seen(store.snapshot(), "ops") == set()
    store.close()
    copies.take(store.path, tmp_path / "copy")
    copies.put_in_place(tmp_path / "copy", store.path)
    for kb in (store.path, tmp_path / "copy"):
        with Store.open(kb) as opened:
            assert seen(opened.snapshot()) == seen(opened.snapshot(), "ops") == set()
            assert opened.check() == []
    repair.reset(store.path)
    with Store.open(store.path) as opened:
        snapshot = opened.snapshot()
        assert len(snapshot.keys(allow=snapshot.allow())) == 0


def test_the_past_before_the_labels_is_hidden_too(store: Store) -> None:
    moment = store.snapshot().seq
    put(store, "shut", ("ops",))
    store.delete(["shut"])
    with Store.open(store.path, as_of=AsOf(moment)) as past:
        assert seen(past.snapshot()) == seen(past.snapshot(), "ops") == set()


class Cut(Points):
    """Cuts a write off before COMMIT."""

    def reach(self, name: str) -> None:
        if name == "ledger.written":
            raise KeyboardInterrupt


def test_a_write_that_is_cut_off_labels_nothing(store: Store) -> None:
    store.close()
    with Store.open(store.path, write=True, points=Cut()) as cut:
        for write in (lambda: put(cut, "shut", ("ops",)), lambda: cut.relabel({"open": ("ops",)})):
            with pytest.raises(KeyboardInterrupt):
                write()
            assert seen(cut.snapshot()) == {"open", "other"}
    with Store.open(store.path) as again:
        assert seen(again.snapshot()) == {"open", "other"}
        assert again.check() == []


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [("visible", {"open"}, {"open"}), ("until-labels", {"open"}, set()), ("hidden", set(), set())],
)
def test_three_rules(rule: Unlabelled, before: set[str], after: set[str], tmp_path: Path) -> None:
    with created(tmp_path / "kb", rule) as store:
        put(store, "open")
        assert seen(store.snapshot()) == before
        assert str(store.status()["unlabelled"]).startswith(f"{rule}: ")
        put(store, "shut", ("ops",))
        assert seen(store.snapshot()) == after
        assert seen(store.snapshot(), "ops") == after | {"shut"}
        shown = "everybody" if after else "nobody"
        assert store.status()["unlabelled"] == f"{rule}: {shown} finds 1 document without labels"


@pytest.mark.parametrize("labelled", ["standing", "ended"])
def test_an_index_from_before_stays_as_it_was_made(labelled: str, tmp_path: Path) -> None:
    """Its rule was a truth value, and nothing noted its first labels."""
    with created(tmp_path / "kb") as store:
        put(store, "open")
        put(store, "shut", ("ops",))
        if labelled == "ended":
            store.delete(["shut"])
        connection = store._ledger.connection
        connection.execute(
            "UPDATE meta SET value = '1', record = ? WHERE name = 'unlabelled'", (digest("unlabelled", "1"),)
        )
        connection.execute("DELETE FROM meta WHERE name = 'labelled'")
    with Store.open(tmp_path / "kb") as store:
        assert seen(store.snapshot()) == {"open"}
        assert store.settings.store.unlabelled == "visible"
        assert store.check() == []
    with Store.open(tmp_path / "kb", unlabelled="until-labels") as store:
        assert seen(store.snapshot()) == set()
    with Store.open(tmp_path / "kb", write=True) as store:
        put(store, "third", ("ops",))
        store.delete(["third", "shut"])
        fold(store)
        store.forget()
        store.forget()
    with Store.open(tmp_path / "kb", unlabelled="until-labels") as store:
        assert seen(store.snapshot()) == set()


def test_a_mark_that_is_gone_or_lies_is_damage(store: Store) -> None:
    connection = store._ledger.connection
    put(store, "shut", ("ops",))
    connection.execute(
        "UPDATE meta SET value = '0', record = ? WHERE name = 'labelled'", (digest("labelled", "0"),)
    )
    assert "denies labels" in store.check()[0].problem
    assert seen(store.snapshot()) == set()
    connection.execute("DELETE FROM meta WHERE name = 'labelled'")
    assert "missing" in store.check()[0].problem
    with pytest.raises(CorruptError, match="labelled"):
        Store.open(store.path)
