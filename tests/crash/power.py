"""The disks that a power cut may leave behind.

Promised by the file system: what an fsync covered when it returned; a write does no harm beside its own
bytes; one rename, link or unlink is done or not. Not promised: anything else. Of what no fsync covers, any
part may be on the disk: writes in any selection, torn at sectors, a file grown but empty, names without
contents, contents without names, a later operation without an earlier one – also in one file or folder.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path

from recorder import Names, Operation, Sync, Write

SECTOR = 512
Change = Write | Names
Keep = Callable[[Change], Sequence[Change]]
Tree = dict[str, bytes | None]
"""Path → contents; None for a folder."""


@dataclass
class Disk:
    """What is on the disk for certain, and what is under way. ``folders`` has an entry for each inode that
    is one.
    """

    folders: dict[int, dict[str, int]]
    files: dict[int, bytes] = field(default_factory=dict)
    pending: list[tuple[int, Change]] = field(default_factory=list)

    def follow(self, number: int, operation: Operation) -> None:
        """Take in the operation of this number."""
        if isinstance(operation, Sync):
            self._sync(operation)
        elif isinstance(operation, (Write, Names)):
            self.pending.append((number, operation))

    def _sync(self, sync: Sync) -> None:
        left = []
        for number, each in self.pending:
            where = each.file if isinstance(each, Write) else each.folder
            if where == sync.inode and number < sync.since:
                _do(each, self.folders, self.files)
            else:
                left.append((number, each))
        self.pending = left

    def after(self, keep: Keep) -> Tree:
        """The tree when of each change under way what ``keep`` says reached the disk."""
        folders = {number: dict(entries) for number, entries in self.folders.items()}
        files = dict(self.files)
        for _, each in self.pending:
            for part in keep(each):
                _do(part, folders, files)
        return dict(_tree(0, "", folders, files))


def _do(each: Change, folders: dict[int, dict[str, int]], files: dict[int, bytes]) -> None:
    if isinstance(each, Names):
        held = folders[each.folder]
        for name, inode in each.entries:
            held.pop(name, None)
            if inode is not None:
                held[name] = inode
        return
    body = files.get(each.file, b"")
    start = body[: each.at].ljust(each.at, b"\0")
    files[each.file] = start if each.body is None else start + each.body + body[each.at + len(each.body) :]


def _tree(
    at: int, path: str, folders: dict[int, dict[str, int]], files: dict[int, bytes]
) -> Iterator[tuple[str, bytes | None]]:
    for name, inode in folders[at].items():
        if inode in folders:
            yield f"{path}{name}", None
            yield from _tree(inode, f"{path}{name}/", folders, files)
        else:
            yield f"{path}{name}", files.get(inode, b"")


def cuts(disk: Disk, choice: random.Random, count: int) -> Iterator[tuple[str, Tree]]:
    """Four plain states and ``count`` random ones, each with what it is called."""
    yield "nothing that no fsync covers", disk.after(lambda _: ())
    yield "everything", disk.after(lambda each: (each,))
    yield "names without contents", disk.after(lambda each: (each,) if isinstance(each, Names) else ())
    yield "contents without names", disk.after(lambda each: (each,) if isinstance(each, Write) else ())
    for _ in range(count if disk.pending else 0):
        share = choice.choice((0.1, 0.5, 0.9))
        yield f"a random {share:.0%}", disk.after(lambda each, s=share: _some(each, choice, s))


def _some(each: Change, choice: random.Random, share: float) -> Sequence[Change]:
    if choice.random() < share:
        return (each,)
    if isinstance(each, Names) or each.body is None or choice.random() < 0.5:
        return ()
    return _torn(each, each.body, choice)


def _torn(each: Write, body: bytes, choice: random.Random) -> list[Write]:
    """Some sectors of a write: the first few, any, or none in a file that has grown all the same."""
    edges = [0, *range(SECTOR - each.at % SECTOR, len(body), SECTOR), len(body)]
    parts = [Write(each.file, each.at + a, body[a:b]) for a, b in pairwise(edges)]
    kind = choice.random()
    if kind < 0.4:
        return parts[: choice.randrange(len(parts))]
    if kind < 0.8:
        return [part for part in parts if choice.random() < 0.5]
    return [Write(each.file, each.at + len(body), b"")]


def digest(tree: Tree) -> bytes:
    """One value for equal trees."""
    found = blake2b(digest_size=16)
    for path, body in sorted(tree.items()):
        found.update(f"{path}\0{-1 if body is None else len(body)}\0".encode() + (body or b""))
    return found.digest()


def lay_out(tree: Tree, folder: Path) -> None:
    """Make the tree in an empty folder."""
    for path, body in tree.items():
        if body is None:
            (folder / path).mkdir()
        elif body.count(0) == len(body):
            with (folder / path).open("wb") as file:
                file.truncate(len(body))
        else:
            (folder / path).write_bytes(body)
