"""Finding files: folders, globs, single files, lists; sorted, no link followed outside, nothing unsaid."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from glob import iglob
from pathlib import Path

from fingerpost.errors import InputError
from fingerpost.records import Rejection

VERSION_CONTROL = frozenset((".git", ".hg", ".svn", ".bzr", "CVS", "_darcs"))
CACHES = frozenset(("__pycache__", "node_modules"))
_KERNEL = re.compile(r"/(?:proc|sys|dev)(?:/|$)")
_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Found:
    """A file to read: where it is, what its documents are called, which source it came from."""

    path: Path
    doc_id: str
    source: str
    beir: bool = False


def roots(paths: Iterable[str | Path], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """The folders among the sources (absolute), each with what its documents' ids begin with.

    One folder gives its files ids relative to it. Several, or further ones later, put their own name before
    them, so that ``a/README.md`` and ``b/README.md`` stay two documents. Keep the result and hand it in as
    ``known``: a file given later by its own path then gets the id that its folder gave it.

    >>> roots(["/usr"]), list(roots(["/usr", "/etc"]).values())
    ({'/usr': ''}, ['usr', 'etc'])
    """
    found = dict(known or {})
    fresh = [
        str(path)
        for path in dict.fromkeys(map(_folder_of, paths))
        if path is not None and str(path) not in found
    ]
    fresh = [path for path in fresh if _under(Path(path), found) is None]
    alone = not found and len(fresh) == 1 and len({str(path) for path in paths}) == 1
    for path in fresh:
        found[path] = "" if alone else _unused(Path(path), found)
    return found


def _folder_of(path: str | Path) -> Path | None:
    """The folder that a source names: itself, or what comes before a pattern."""
    text = str(path)
    if _MAGIC.search(text) and not os.path.lexists(text):
        parts = Path(text).parts
        plain = [part for part, magic in zip(parts, _seen_magic(parts), strict=True) if not magic]
        return Path(os.path.abspath(os.path.join(*plain) if plain else "."))
    try:
        return Path(os.path.abspath(text)) if os.path.isdir(text) else None
    except ValueError:
        return None


def _seen_magic(parts: Iterable[str]) -> Iterator[bool]:
    seen = False
    for part in parts:
        seen = seen or _MAGIC.search(part) is not None
        yield seen


def _unused(path: Path, known: Mapping[str, str]) -> str:
    """The shortest tail of the path that no other source uses, nor a folder of the source without a name."""
    parts = [part for part in path.parts if part != path.anchor]
    taken = set(known.values())
    plain = [root for root, prefix in known.items() if not prefix]
    for count in range(1, len(parts) + 1):
        name = "/".join(parts[-count:])
        if name not in taken and not any(os.path.lexists(os.path.join(root, name)) for root in plain):
            return name
    return f"{'/'.join(parts)}~{len(taken)}"


def _home(path: Path, known: Mapping[str, str]) -> Path | None:
    """The innermost known root that a path lies beneath."""
    return next((parent for parent in (path, *path.parents) if str(parent) in known), None)


def _under(path: Path, known: Mapping[str, str]) -> str | None:
    """The id of a path beneath a known root."""
    root = _home(path, known)
    if root is None:
        return None
    relative = path.relative_to(root).as_posix()
    return "/".join(part for part in (known[str(root)], relative if relative != "." else "") if part)


def passed_over(path: Path, root: Path) -> bool:
    """Whether reading the folder ``root`` passes a path beneath it over: hidden, of version control, a cache
    or an index, linked from elsewhere, or beside the corpus of a BEIR folder.

    >>> passed_over(Path("/docs/.git/config"), Path("/docs")), passed_over(Path("/docs/a.md"), Path("/docs"))
    (True, False)
    """
    parts = path.relative_to(root).parts
    if any(part.startswith(".") or part in VERSION_CONTROL | CACHES for part in parts):
        return True
    if not path.resolve().is_relative_to(root.resolve()):
        return True
    above = [root, *(root.joinpath(*parts[:depth]) for depth in range(1, len(parts)))]
    if any(_is_index(folder) or folder.is_symlink() for folder in above[1:]) or _is_index(root):
        return True
    beside = path.parent / "corpus.jsonl"
    names = {name for name in ("corpus.jsonl", "queries.jsonl") if (path.parent / name).is_file()}
    return path != beside and _is_beir(path.parent, names)


def _is_index(folder: Path) -> bool:
    return (folder / "ledger.db").is_file() and any((folder / name).exists() for name in ("MANIFEST", "LOCK"))


class Walk:
    """Files beneath the sources, in a fixed order; ``skipped`` counts what was passed over, by reason."""

    def __init__(self, paths: Iterable[str | Path], known: Mapping[str, str] | None = None) -> None:
        self._paths = list(paths)
        self.roots = roots(self._paths, known)
        self.skipped: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Found | Rejection]:
        for path in self._paths:
            text = str(path)
            try:
                yield from self._source(text)
            except (OSError, ValueError) as error:
                yield _unreadable(text, error)
            except InputError as error:
                yield Rejection(text, error.code, error.message, error.cure)

    def _source(self, text: str) -> Iterator[Found | Rejection]:
        if "\0" in text:
            raise InputError("E_PATH", f"the path {text[:80]!r} holds NUL", cure="name a file or folder")
        if _MAGIC.search(text) and not os.path.lexists(text):
            yield from self._pattern(text)
        elif os.path.isdir(text):
            folder = Path(os.path.abspath(text))
            yield from self._folder(folder, folder.resolve())
        else:
            yield self._file(text)

    def _pattern(self, pattern: str) -> Iterator[Found | Rejection]:
        matches = sorted(match for match in iglob(pattern, recursive=True) if not os.path.isdir(match))
        if not matches:
            raise InputError(
                "E_NOT_FOUND", f"no file matches {pattern}", cure="mend the pattern, or quote it"
            )
        root = _folder_of(pattern)
        for match in matches:
            path = Path(os.path.abspath(match))
            yield self._checked(path, root.resolve()) if root else self._file(match)

    def _file(self, text: str) -> Found | Rejection:
        path = Path(os.path.abspath(text))
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) or _KERNEL.match(str(path.resolve())):
            return _irregular(text)
        root = _home(path, self.roots)
        if root is not None and passed_over(path, root):
            return _not_in(root, path)
        typed = os.path.normpath(text)
        own = typed if not typed.startswith("..") else str(path)
        return Found(path, _under(path, self.roots) or Path(own).as_posix(), self._source_of(path))

    def _folder(self, folder: Path, top: Path) -> Iterator[Found | Rejection]:
        """Depth first, names in order; an explicit stack, for folders nested thousands deep."""
        stack: list[Path] = [folder]
        while stack:
            here = stack.pop()
            try:
                entries = sorted(os.scandir(here), key=lambda entry: entry.name)
            except OSError as error:
                yield _unreadable(str(here), error)
                continue
            names = {entry.name for entry in entries}
            if "ledger.db" in names and ("MANIFEST" in names or "LOCK" in names):
                self.skipped["folder that is itself an index"] += 1
                continue
            beir = _is_beir(here, names)
            folders: list[Path] = []
            for entry in entries:
                path = here / entry.name
                if beir and entry.name != "corpus.jsonl":
                    self.skipped[
                        "entry beside corpus.jsonl of a BEIR folder (queries, judgements, notes)"
                    ] += 1
                elif self._passed_over(entry):
                    continue
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                else:
                    found = self._checked(path, top)
                    yield replace(found, beir=beir) if isinstance(found, Found) else found
            stack += reversed(folders)

    def _passed_over(self, entry: os.DirEntry[str]) -> bool:
        folder = entry.is_dir(follow_symlinks=False)
        if folder and entry.name in VERSION_CONTROL:
            self.skipped["version control folder"] += 1
        elif folder and entry.name in CACHES:
            self.skipped[f"{entry.name} folder"] += 1
        elif entry.name.startswith("."):
            self.skipped["hidden folder" if folder else "hidden file"] += 1
        elif entry.is_symlink() and entry.is_dir():
            self.skipped["linked folder (links to folders are not followed)"] += 1
        else:
            return False
        return True

    def _checked(self, path: Path, top: Path) -> Found | Rejection:
        """A file of a folder: regular, and inside the folder once links are resolved."""
        try:
            real = path.resolve() if path.is_symlink() else path
            if path.is_symlink() and not real.is_relative_to(top):
                return Rejection(
                    str(path), "E_PATH", f"{path.name} links to outside of its folder", "copy the file"
                )
            if not stat.S_ISREG(os.stat(real).st_mode):
                return _irregular(str(path))
        except (OSError, RuntimeError) as error:
            return _unreadable(str(path), error)
        return Found(real, _under(path, self.roots) or path.as_posix(), self._source_of(path))

    def _source_of(self, path: Path) -> str:
        """The name of the folder that a file came from, however it was named this time; its own without."""
        root = _home(path, self.roots)
        return path.name if root is None else root.name or "/"

    def notes(self) -> tuple[str, ...]:
        """What was passed over, counted."""
        return tuple(f"skipped {count} × {what}" for what, count in sorted(self.skipped.items()))


def _is_beir(folder: Path, names: set[str]) -> bool:
    return "corpus.jsonl" in names and ("queries.jsonl" in names or (folder / "qrels").is_dir())


def _not_in(root: Path, path: Path) -> Rejection:
    """A file named by itself that its folder would drop again when it is read."""
    why = "hidden, of version control, a cache, an index or a link"
    what = f"reading {root.name or root} passes {path.relative_to(root)} over ({why})"
    return Rejection(str(path), "E_PATH", what, "rename it, or copy it to where it is read")


def _irregular(path: str) -> Rejection:
    what = "is no regular file (a pipe, socket or device)"
    return Rejection(path, "E_PATH", f"{path[:200]} {what}", "name regular files and folders only")


def _unreadable(path: str, error: Exception) -> Rejection:
    reason = getattr(error, "strerror", None) or str(error)
    code = "E_NOT_FOUND" if isinstance(error, FileNotFoundError) else "E_UNREADABLE"
    return Rejection(
        path[:400], code, f"{path[:200]} cannot be read: {reason}", "check the path and its permissions"
    )
