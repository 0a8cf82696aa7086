"""What disappeared: documents under the given sources that reading them again did not meet.

A document goes only when the very source that it came from was read again. Its place on disk follows from its
path and from the folder that gave it its id, so a document of another folder, of a list of files or of a file
named by itself stays, also where its id looks alike. What is there but could not be read stays as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from fingerpost.compiler.read import READ_FROM
from fingerpost.index.rooms import Rooms
from fingerpost.records import Rejection, Value

_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Reread:
    """What was read again: the sources ``given`` and the ``roots`` (folder → what its documents' paths begin
    with) by which they were read; the ids ``met``; the paths in ``files`` of files that hold several
    documents; what was left out.
    """

    given: Sequence[str]
    roots: Mapping[str, str]
    met: frozenset[str]
    files: frozenset[str]
    rejections: Sequence[Rejection]


def vanished(rooms: Rooms, reread: Reread) -> set[str]:
    """Ids of the documents that disappeared."""
    scopes = [scope for path in reread.given for scope in _scopes(path, reread)]
    if not scopes:
        return set()
    kept = _Kept(reread.rejections)
    gone = set()
    for doc_id, metadata, flags in rooms.store.desk.standing():
        if doc_id in reread.met:
            continue
        source, path = _came_from(doc_id, metadata, flags)
        place = place_of(path, source, reread.roots)
        if any(scope.covers(path, place) for scope in scopes) and not kept.holds(path, place):
            gone.add(doc_id)
    return gone


def lost_sources(rooms: Rooms, missing: Sequence[str]) -> set[str]:
    """Those of the paths that are not there any more from which documents came: not errors, but deletions."""
    if not missing:
        return set()
    reread = Reread(missing, rooms.roots, frozenset(), frozenset(), ())
    scopes = {path: _scopes(path, reread) for path in missing}
    found = set()
    for document in rooms.store.desk.standing():
        source, path = _came_from(*document)
        place = place_of(path, source, reread.roots)
        found |= {each for each in scopes if any(scope.covers(path, place) for scope in scopes[each])}
    return found


def place_of(path: str, source: str, roots: Mapping[str, str]) -> Path | None:
    """Where the file of a document of a compiled folder is; None for one that came in another way (its file
    was named by itself, and so is its source).

    >>> place_of("guide/a.md", "docs", {"/home/ada/docs": ""})
    PosixPath('/home/ada/docs/guide/a.md')
    >>> place_of("a.md", "a.md", {"/home/ada/docs": ""}) is None
    True
    """
    named = {root: prefix for root, prefix in roots.items() if Path(root).name == source.strip("/")}
    if not named and source == path.rpartition("/")[2]:
        return None
    best: tuple[int, Path] | None = None
    for root, prefix in (named or roots).items():
        begins = f"{prefix}/" if prefix else ""
        if path.startswith(begins) and (best is None or len(begins) > best[0]):
            best = len(begins), Path(root) / path[len(begins) :]
    return None if best is None else best[1]


def _came_from(doc_id: str, metadata: Mapping[str, Value], flags: Iterable[str]) -> tuple[str, str]:
    """The name of the source that a document came from, and its file's path there."""
    for flag in flags:
        if flag.startswith(READ_FROM):
            source, _, path = flag.removeprefix(READ_FROM).partition("/")
            return source, path
    return str(metadata.get("source", "")), str(metadata.get("path", doc_id))


@dataclass(frozen=True, slots=True)
class _Scope:
    """What one source covers: everything ``under`` a folder, what matches a ``pattern``, or the file at
    ``exact`` (as it was ``typed``, where it was compiled by itself).
    """

    under: Path | None = None
    pattern: str = ""
    exact: Path | None = None
    typed: str = ""

    def covers(self, path: str, place: Path | None) -> bool:
        """Whether a document of this path, at this place, is one of the source's."""
        if place is None:
            return bool(self.typed) and path == self.typed
        if self.under is not None:
            return place.is_relative_to(self.under)
        return place == self.exact or (bool(self.pattern) and fnmatch(str(place), self.pattern))


def _scopes(given: str, reread: Reread) -> list[_Scope]:
    absolute, typed = _absolute(given), _typed(given)
    if _MAGIC.search(given) and not os.path.lexists(given):
        return [_Scope(pattern=str(absolute).replace("**/", "*"))]
    if absolute.is_dir():
        return [_Scope(under=absolute)]
    if not os.path.lexists(absolute):
        inside = any(absolute.is_relative_to(root) for root in reread.roots)
        return [_Scope(exact=absolute, typed=typed), *([_Scope(under=absolute)] if inside else [])]
    if reread.files:
        return [_Scope(exact=absolute, typed=typed)]
    return []  # a file that is one document, and was met or left out


def _absolute(given: str) -> Path:
    return Path(os.path.abspath(given))


def _typed(given: str) -> str:
    """The path of a file's document where no folder gave it one (see ``compiler.walk``)."""
    normal = os.path.normpath(given)
    return Path(normal if not normal.startswith("..") else os.path.abspath(given)).as_posix()


class _Kept:
    """Files and folders that are there and could not be read."""

    def __init__(self, rejections: Iterable[Rejection]) -> None:
        self._sources = [os.path.normpath(rejection.source) for rejection in rejections if rejection.source]
        self._whole = {os.path.abspath(source) for source in self._sources}

    def holds(self, path: str, place: Path | None) -> bool:
        """Whether a document's file, a part of it or a folder above it was left out."""
        if not self._sources:
            return False
        names = {path} if place is None else {path, str(place), os.path.realpath(place)}
        above = () if place is None else (str(parent) for parent in (place, *place.parents))
        if any(name in self._whole for name in above):
            return True
        return any(
            source == name or source.startswith(f"{name} ") for source in self._sources for name in names
        )
