"""How an index is come by: made, opened, put back, examined."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from fingerpost.compiler import policy_digest
from fingerpost.config import Settings
from fingerpost.errors import NotFoundError, UsageError
from fingerpost.index import upkeep
from fingerpost.index.build import building, expanding, updating
from fingerpost.index.build.situating import Announce, unsaid
from fingerpost.index.epoch import SOURCES
from fingerpost.index.facade import Index
from fingerpost.index.progress import Progress, silent
from fingerpost.index.rooms import NO_MODEL, Rooms
from fingerpost.models.encoder import load_encoder
from fingerpost.records import Report
from fingerpost.store import access
from fingerpost.store.check import Finding
from fingerpost.store.disk import no_index
from fingerpost.store.past import AsOf
from fingerpost.store.store import Store


def compile(
    *sources: str | Path,
    to: str | Path,
    settings: Settings | None = None,
    progress: Progress = silent,
    announce: Announce = unsaid,
) -> Index:
    """Read, mask, chunk and index ``sources`` into the folder ``to``; goes on where it was interrupted.

    Over an index that is there already it changes only what changed: untouched text keeps its chunk ids and
    vectors, and documents that disappeared from ``sources`` go. ``index.report`` says what was done and what
    was left out. ``announce`` is told what a language model will cost, where one situates chunks
    (``compile.situate``), before it is asked.
    """
    if not sources:
        raise UsageError("E_USAGE", "nothing to compile", cure="name a folder, a file or a pattern")
    rooms = _rooms_for(Path(to), settings)
    try:
        index = Index(rooms)
        new = rooms.store.desk.artifact(SOURCES) is None
        with building.encoding(rooms) as ahead:
            done = building.ingest(rooms, sources, progress, announce, ahead)
            gone = updating.drop_vanished(rooms, [str(source) for source in sources], done)
            if new:  # the first build is no change that anybody waits for
                building.encode(rooms, progress, ahead)
            else:
                updating.finish(rooms, done, progress, look=False)
        stale = not rooms.store.desk.folded or expanding.lacking(rooms)
        if stale or rooms.roots != dict(done.roots):
            building.fold(rooms, progress, roots=done.roots)
    except BaseException:
        rooms.store.close()
        raise
    index.report = updating.report(rooms, done, deleted=gone)
    return index


def open(
    path: str | Path,
    *,
    write: bool = False,
    settings: Settings | None = None,
    as_of: int | str | None = None,
) -> Index:
    """Open an index folder. One process may write at a time; any number may read.

    ``settings`` may differ from those it was compiled with in how it searches and answers; another masking
    policy is refused here, another model when it is first needed, and of what they and the index say about
    access (``store.unlabelled`` where they name it, ``isolation``) the stricter holds. ``as_of`` opens what
    it was: a seq (see ``status``) or a generation (``"gen-7"``) that is still held, with the router and
    everything learned of that time; NotFoundError E_NOT_HELD says what is.
    """
    _must_exist(Path(path))
    moment = None if as_of is None else AsOf.parse(as_of)
    return Index(_opened(Path(path), settings, write=write, as_of=moment))


def restore(snapshot: str | Path, *, to: str | Path, replace: bool = False) -> Report:
    """Put a copy of a snapshot at ``to``, every digest checked: a new folder, or with ``replace`` the index
    that is there, which stays untouched until the copy is whole. Raises UsageError E_EXISTS, LockedError,
    NotFoundError for what is no snapshot.
    """
    _must_be_snapshot(Path(snapshot))
    return upkeep.restore(Path(snapshot), Path(to), replace=replace)


def doctor(path: str | Path, *, repair: bool = False, progress: Progress = silent) -> list[Finding]:
    """What in an index folder does not match its digest; ``repair`` makes what is derived again first."""
    _must_exist(Path(path))
    return upkeep.repair(Path(path), progress) if repair else upkeep.examine(Path(path))


def _must_exist(path: Path) -> None:
    if not (path / "ledger.db").is_file():
        raise no_index(path)


def _must_be_snapshot(path: Path) -> None:
    if (path / "MANIFEST").exists():
        _must_exist(path)
    elif not (path / "ledger.db").is_file():
        said = f"{path} is no snapshot" if path.exists() else f"no snapshot at {path}"
        cure = "name a folder that `fingerpost snapshot` made, or an index folder"
        raise NotFoundError("E_NOT_FOUND", said, cure=cure, detail=str(path))


def _opened(path: Path, settings: Settings | None, *, write: bool, as_of: AsOf | None = None) -> Rooms:
    """An index that is there, under the settings of who opens it, or its own."""
    policy = policy_digest(settings.mask) if settings else None
    store = Store.open(path, write=write, policy=policy, as_of=as_of, unlabelled=access.named(settings))
    try:
        return Rooms(path, store, settings or store.settings)
    except BaseException:
        store.close()
        raise


def _rooms_for(path: Path, settings: Settings | None) -> Rooms:
    if (path / "ledger.db").exists():
        with suppress(NotFoundError):  # making it was cut off: it is begun anew
            return _opened(path, settings, write=True)
    chosen = settings or Settings()
    encoder = load_encoder(chosen.models, threads=chosen.compile.threads)
    store = Store.create(
        path,
        fingerprint=encoder.fingerprint if encoder else NO_MODEL,
        dim=encoder.dim if encoder else 0,
        settings=chosen,
        policy=policy_digest(chosen.mask),
    )
    return Rooms(path, store, chosen)
