"""Deleted is gone at once, revoked is revoked at once, and no memory of one caller answers another.

Two opened stores, the writer's and a reader's, are asked by every user after each change, twice, so that the
second answer may come from memory. What each may see is known from a plain dict.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.seeds import seeds

from fingerpost.errors import NotFoundError
from fingerpost.store import Allow, Store
from fingerpost.store.access import Access
from fingerpost.store.live import Live
from fingerpost.store.permits import Permits
from fingerpost.text.query import parse

sys.path.insert(0, str(Path(__file__).parent))
from worker import DIM, document, encode, fold, promote

USERS = ("user:a", "user:b", "user:c")
NOBODY = ""
NAMES = [f"doc{number}" for number in range(10)]
ANY = np.ones(DIM, dtype=np.float32)
Owners = dict[str, str]
CHANGES = (28, 34, 32, 3, 2, 1)
"""How often delete, relabel, put, fold, promote and rollback are chosen."""


def put(store: Store, name: str, version: int, owner: str) -> None:
    """A document of one user, or (``owner`` is "") without labels: found by nobody, for others have some."""
    whole, chunks = document(name, version)
    result = store.put([(replace(whole, labels=(owner,) if owner else None), chunks)])
    store.put_vectors(result.keys, encode(result.passages))


def change(store: Store, owners: Owners, choice: random.Random, number: int) -> str:
    """One acknowledged change, followed in ``owners``; returns its kind."""
    kind = choice.choices(("delete", "relabel", "put", "fold", "promote", "rollback"), CHANGES)[0]
    if kind == "delete" and owners:
        gone = choice.choice(sorted(owners))
        store.delete([gone])
        del owners[gone]
    elif kind == "relabel" and owners:
        name = choice.choice(sorted(owners))
        owner = choice.choice([user for user in (*USERS, NOBODY) if user != owners[name]])
        store.relabel({name: (owner,) if owner else None})
        owners[name] = owner
    elif kind in ("fold", "promote"):
        (fold if kind == "fold" else promote)(store, number)
    elif kind == "rollback" and int(store.status()["generation"]) > 1:
        store.rollback()
    else:
        name = choice.choice(NAMES)
        owner = choice.choice((*USERS, NOBODY))
        owners[name] = owner or owners.get(name, NOBODY)  # without labels it keeps those that it has
        put(store, name, number, owner)
        kind = "put"
    return kind


def ask(store: Store, owners: Owners, user: str) -> None:
    """One user sees his documents in every leg, and nothing else anywhere."""
    mine = {name for name, owner in owners.items() if owner == user}
    snapshot = store.snapshot()
    allow = snapshot.allow((), [user])
    keys, _ = snapshot.lexical(parse("stands"), k=100, allow=allow)
    near, _, _ = snapshot.dense(ANY, k=100, allow=allow)
    assert {chunk.doc_id for chunk in snapshot.chunks(keys)} == mine, "words"
    assert {chunk.doc_id for chunk in snapshot.chunks(near)} == mine, "vectors"
    assert (allow.n_chunks if allow is not None else len(owners)) == len(near), "counts"


def ask_by_name(store: Store, owners: Owners) -> None:
    """Whoever may see everything sees what stands."""
    snapshot = store.snapshot()
    keys, _ = snapshot.lexical(parse("stands"), k=100)
    assert {chunk.doc_id for chunk in snapshot.chunks(keys)} == set(owners), "words"
    assert snapshot.n_documents == len(owners)
    for name in NAMES:
        try:
            snapshot.document(name)
        except NotFoundError:
            assert name not in owners
        else:
            assert name in owners


def campaign(folder: Path, *, changes: int, seed: int) -> dict[str, int]:
    """Returns how many changes of each kind were followed by answers, and how many answers."""
    choice, owners, done = random.Random(seed), Owners(), dict.fromkeys(("delete", "relabel", "answer"), 0)
    with Store.create(folder, fingerprint="f", dim=DIM) as store:
        for name in NAMES:
            owners[name] = choice.choice(USERS)
            put(store, name, 0, owners[name])
    with ExitStack() as stack:
        stores = [stack.enter_context(Store.open(folder, write=write)) for write in (True, False)]
        for number in range(1, changes):
            kind = change(stores[0], owners, choice, number)
            for store in stores:
                for user in (*USERS, *USERS):
                    ask(store, owners, user)
                ask_by_name(store, owners)
            done["answer"] += 2 * 2 * len(USERS)
            done[kind] = done.get(kind, 0) + 1
    return done


def proved(folder: Path, tell: Callable[[str, object], None], *, changes: int, seed: int) -> None:
    tell("seed", seed)
    for kind, count in campaign(folder, changes=changes, seed=seed).items():
        tell(kind, count)


def test_gone_at_once(memory: Path, record_property: Callable[[str, object], None]) -> None:
    proved(memory / "kb", record_property, changes=240, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(2, 42))
def test_gone_at_once_for_long(
    memory: Path, seed: int, record_property: Callable[[str, object], None]
) -> None:
    proved(memory / "kb", record_property, changes=1_200, seed=seed)


def tombstones_not_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Live, "_bury", lambda self, keys: None)


def remembered(monkeypatch: pytest.MonkeyPatch, key: Callable[[tuple[str, ...]], object]) -> None:
    """Permissions are kept under ``key`` of the principals, whatever changes."""
    known: dict[object, Allow] = {}
    decide = Permits._decide

    def broken(self: Permits, view: object, chosen: object, held: tuple[str, ...], hides: bool) -> Allow:
        fresh = decide(self, view, chosen, held, hides)  # type: ignore[arg-type]
        kept = known.setdefault((key(held), len(fresh.base), len(fresh.tail)), fresh)
        return replace(kept, of=view)  # type: ignore[arg-type]

    monkeypatch.setattr(Permits, "_decide", broken)


def documents_without_labels_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Access, "hides", lambda self: False)


def permissions_remembered_across_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    remembered(monkeypatch, lambda held: held)


def permissions_remembered_for_all_users(monkeypatch: pytest.MonkeyPatch) -> None:
    remembered(monkeypatch, lambda held: "anybody")


GUARDS = (
    tombstones_not_applied,
    permissions_remembered_across_changes,
    permissions_remembered_for_all_users,
    documents_without_labels_shown,
)


@pytest.mark.parametrize("guard", GUARDS, ids=lambda each: each.__name__)
def test_a_missing_guard_is_caught(
    memory: Path,
    guard: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    guard(monkeypatch)
    record_property("control", guard.__name__.replace("_", " "))
    with pytest.raises(AssertionError, match=r"words|vectors|counts"):
        campaign(memory / "kb", changes=240, seed=1)
