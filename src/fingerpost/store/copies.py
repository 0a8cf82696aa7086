"""Snapshots: a whole checked copy of an index in a folder of its own, and one put in an index's place.

A snapshot is an index itself: ledger, published generation with its router, and the vectors of what came
later, as of one moment. It may be taken while the index is written to and searched. It is built beside its
target and renamed when it is whole, so that a copy that was interrupted never looks like one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from fingerpost.errors import StoreError, UsageError
from fingerpost.store import headmark
from fingerpost.store.check import NO_VECTOR
from fingerpost.store.disk import corrupt, named_errors, sync_file, sync_folder
from fingerpost.store.generation import NAME, Manifest, read_manifest, write_alone
from fingerpost.store.ledger import Ledger
from fingerpost.store.lock import WriterLock
from fingerpost.store.schema import connect
from fingerpost.store.state import tail_path
from fingerpost.store.store import Store

_TRIES = 5
_LOCKS = frozenset({".tantivy-writer.lock", ".tantivy-meta.lock"})
BEFORE = ".before-restore"
"""Ends the name of the index that a restore replaces, until it is removed."""


def take(root: Path, target: Path) -> None:
    """Copy the index at ``root`` into the new or empty folder ``target``, and check every digest of it.

    Raises UsageError E_EXISTS where ``target`` holds something, CorruptError where the index is damaged
    (nothing is left behind then), DiskError.
    """
    _check_target(root, target)
    with _built_beside(target) as building:
        _copy(root, building)
        with named_errors(target):
            os.rename(building, target)
    sync_folder(target.absolute().parent)


def put_in_place(snapshot: Path, target: Path) -> None:
    """Replace the index at ``target`` by a copy of ``snapshot``, which is checked first. Nobody may be
    writing to it (LockedError); who has it open for reading must open it again.
    """
    _check_apart(snapshot, target)
    lock = WriterLock(target)
    before = target.with_name(target.name + BEFORE)
    try:
        with _built_beside(target) as building, named_errors(target):
            _copy(snapshot, building)
            shutil.rmtree(before, ignore_errors=True)
            os.rename(target, before)
            os.rename(building, target)
        sync_folder(target.absolute().parent)
    finally:
        lock.release()
    shutil.rmtree(before, ignore_errors=True)


@contextmanager
def _built_beside(target: Path) -> Iterator[Path]:
    """A folder beside the target, removed unless it was renamed."""
    parent = target.absolute().parent
    with named_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=parent))
    try:
        yield building
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _copy(root: Path, building: Path) -> None:
    """All that answers of one generation come from; begun again when another is published meanwhile."""
    for _ in range(_TRIES):
        manifest, whole = read_manifest(root / NAME), False
        with suppress(FileNotFoundError, shutil.Error):  # its folder was let go meanwhile
            _copy_files(root, building, manifest)
            whole = True
        if whole and read_manifest(root / NAME) == manifest:
            break
        for path in building.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    else:
        raise StoreError("E_LOCKED", f"{root} is folded faster than it can be copied", cure="try again later")
    _check(building)
    with named_errors(building):
        for path in sorted(building.rglob("*")):
            sync_folder(path) if path.is_dir() else sync_file(path)
        sync_folder(building)


def _copy_files(root: Path, building: Path, manifest: Manifest) -> None:
    """The generation's files, then the ledger: it may be newer, never older. What is kept for `rollback`
    stays behind.
    """
    with named_errors(building):
        if manifest.generation:
            names = shutil.ignore_patterns(*_LOCKS)
            folder = manifest.folder
            shutil.copytree(root / folder, building / folder, ignore=names, copy_function=_copy_file)
        _copy_database(root / "ledger.db", building / "ledger.db")
        if tail_path(root, manifest.tail).is_file():
            _copy_database(tail_path(root, manifest.tail), tail_path(building, manifest.tail))
        write_alone(building, manifest)
    with closing(Ledger(building / "ledger.db")) as ledger:
        headmark.mark(building, ledger.head())


def _copy_file(source: str, target: str) -> None:
    """Named by itself: what ``copytree`` gathers does not tell a full disk from a file that is gone."""
    with named_errors(Path(target)):
        shutil.copy2(source, target)


def _copy_database(source: Path, target: Path) -> None:
    with (
        named_errors(source),
        closing(connect(source, write=False)) as old,
        closing(connect(target, write=True)) as new,
    ):
        old.backup(new)


def _check(building: Path) -> None:
    """Every file and every record; chunks that wait for their vector wait in the copy as well."""
    with Store.open(building, verify="full") as store:
        for finding in store.check():
            if NO_VECTOR not in finding.problem:
                raise corrupt(finding.file, finding.problem)


def _check_apart(source: Path, target: Path) -> None:
    """What is read and what is written are two folders, and the one read does not lie in the one replaced."""
    one, other = source.resolve(), target.resolve()
    if other == one:
        raise UsageError("E_PATH", f"{target} is the index itself", cure="name a folder elsewhere")
    if other.is_relative_to(one):
        raise UsageError("E_PATH", f"{target} is inside the index", cure="name a folder elsewhere")
    if one.is_relative_to(other) and (other / "ledger.db").exists():
        raise UsageError("E_PATH", f"{source} is inside {target}", cure="move the snapshot out of it first")


def _check_target(root: Path, target: Path) -> None:
    _check_apart(root, target)
    with named_errors(target):
        if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
            raise UsageError(
                "E_EXISTS", f"{target} holds something", cure="name a new folder", detail=str(target)
            )
