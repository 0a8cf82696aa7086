"""What a program did to a folder, recorded by strace: every write, fsync, rename and unlink of every thread
and library, SQLite and tantivy included, with what it printed in between.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CALLS = (
    "open,openat,creat,close,dup,dup2,dup3,lseek,write,pwrite64,writev,pwritev,pwritev2,sendfile,"
    "copy_file_range,ftruncate,truncate,fallocate,fsync,fdatasync,sync_file_range,msync,mmap,rename,renameat,"
    "renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,symlink,symlinkat"
)
_LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)")
_RESULT = re.compile(r"(.*)\) += (-?\d+|\?|0x[0-9a-f]+)(?:<|\s|$)")
_QUOTED = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')
_BUFFER = re.compile(r'iov_base="((?:\\x[0-9a-f]{2})*)"')
_HANDLE = re.compile(r"(AT_FDCWD|-?\d+)(?:<((?:\\x[0-9a-f]{2})*)>)?")


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes of a file; ``None`` in the place of bytes sets its size."""

    file: int
    at: int
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Names:
    """Entries of one folder changed in one step: name → file or folder, None where the name goes."""

    folder: int
    entries: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True, slots=True)
class Sync:
    """A file or folder is on disk as far as it was when operation ``since`` had not begun."""

    inode: int
    since: int


@dataclass(frozen=True, slots=True)
class Said:
    """What the program printed."""

    text: bytes


Operation = Write | Names | Sync | Said


@dataclass
class Handle:
    inode: int
    path: Path
    at: int = 0
    append: bool = False
    plain: bool = False
    """Written only, or made for this: its place is known without watching reads."""


@dataclass
class Recording:
    """The operations on what lies below ``root`` (inode 0), and the contents as they went."""

    root: Path
    operations: list[Operation] = field(default_factory=list)
    folders: dict[int, dict[str, int]] = field(default_factory=lambda: {0: {}})
    files: dict[int, bytearray] = field(default_factory=dict)
    handles: dict[int, Handle] = field(default_factory=dict)

    def find(self, path: Path) -> int | None:
        """The inode at a path below the root."""
        at: int | None = 0
        for part in path.relative_to(self.root).parts:
            at = self.folders.get(-1 if at is None else at, {}).get(part)
        return at

    def covers(self, path: Path) -> bool:
        return path.is_relative_to(self.root)

    def name(self, folder: Path, *entries: tuple[str, int | None]) -> None:
        """Change entries of a folder."""
        number = self.find(folder)
        assert number is not None, folder
        held = self.folders[number]
        for entry, inode in entries:
            held.pop(entry, None)
            if inode is not None:
                held[entry] = inode
        self.operations.append(Names(number, entries))

    def check(self) -> None:
        """The record leads to the files that are there: nothing was overlooked."""
        for path in self.root.rglob("*"):
            inode = self.find(path)
            assert inode is not None, f"{path} was made unseen"
            if inode in self.files and not path.name.endswith("-shm"):
                assert self.files[inode] == path.read_bytes(), f"{path} was written unseen"

    def fresh(self) -> int:
        return len(self.folders) + len(self.files)

    def write(self, inode: int, at: int, body: bytes) -> None:
        held = self.files[inode]
        held.extend(bytes(max(0, at + len(body) - len(held))))
        held[at : at + len(body)] = body
        self.operations.append(Write(inode, at, body))

    def resize(self, inode: int, size: int) -> None:
        held = self.files[inode]
        del held[size:]
        held.extend(bytes(size - len(held)))
        self.operations.append(Write(inode, size, None))


def record(command: Sequence[str], *, root: Path, log: Path) -> Recording:
    """Run a program to its end and return what it did below ``root``, which must be an empty folder."""
    strace = ["strace", "-f", "-y", "-xx", "-s", "50000000", "-e", f"trace={CALLS}", "-e", "signal=none"]
    subprocess.run(
        [*strace, "-o", str(log), *command],
        check=True,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    recording = Recording(root)
    with log.open("r", encoding="ascii") as lines:
        for call in calls(lines, recording):
            _apply(recording, *call)
    recording.check()
    return recording


Call = tuple[str, list[str], int, int]
"""Name, arguments, result, and how many operations there were when it began."""


def calls(lines: Iterator[str] | Sequence[str], recording: Recording) -> Iterator[Call]:
    """Finished calls that did not fail, in the order they finished."""
    begun: dict[str, tuple[str, str, int]] = {}
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        process, resumed, name, rest = match.groups()
        since, text = len(recording.operations), rest
        if resumed == "close":
            continue  # its number was free for others from the moment it began
        if resumed:
            name, before, since = begun.pop(process)
            text = before + rest
        elif name == "close":
            yield name, _arguments(rest.split(")")[0].split(" <")[0]), 0, since
            continue
        elif rest.rstrip().endswith("<unfinished ...>"):
            begun[process] = name, rest.rstrip().removesuffix("<unfinished ...>"), since
            continue
        ended = _RESULT.match(text)
        if ended and ended[2] != "?":
            result = int(ended[2], 0)
            if result >= 0:
                yield name, _arguments(ended[1]), result, since


def _arguments(text: str) -> list[str]:
    """Strings are hexadecimal, so commas only divide (buffers of writev stay one argument)."""
    return [text] if "iov_base" in text else text.split(", ")


def _bytes(text: str) -> bytes:
    match = _QUOTED.search(text)
    assert match is not None, text[:80]
    assert not match[2], f"cut short: {text[:80]}"
    return bytes.fromhex(match[1].replace("\\x", ""))


def _buffers(text: str) -> bytes:
    return b"".join(bytes.fromhex(part.replace("\\x", "")) for part in _BUFFER.findall(text))


def _number(text: str) -> int:
    match = _HANDLE.match(text)
    assert match is not None, text
    return int(match[1])


def _named(text: str) -> Path:
    """The path that strace gives beside a handle."""
    match = _HANDLE.match(text)
    return Path(bytes.fromhex(match[2].replace("\\x", "")).decode() if match and match[2] else "")


def _path(text: str, folder: str | None = None) -> Path:
    """A path, relative to the folder of the handle before it."""
    base = Path.cwd() / ("" if folder is None else _named(folder))
    return Path(os.path.normpath(base / _bytes(text).decode()))


def _apply(disk: Recording, name: str, arguments: list[str], result: int, since: int) -> None:
    """What one call did."""
    if name in ("open", "openat", "creat"):
        _open(disk, name, arguments, result)
    elif name in ("rename", "renameat", "renameat2", "link", "linkat"):
        _rename(disk, name, arguments)
    elif name in ("unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "truncate", "symlink", "symlinkat"):
        _at_path(disk, name, arguments)
    elif name == "mmap":
        _refuse_shared(disk, arguments)
    else:
        _at_handle(disk, name, arguments, result, since)


def _open(disk: Recording, name: str, arguments: list[str], result: int) -> None:
    path = _path(arguments[1], arguments[0]) if name == "openat" else _path(arguments[0])
    disk.handles.pop(result, None)
    if not disk.covers(path):
        return
    flags = arguments[2 if name == "openat" else 1].split("|") if name != "creat" else ["O_CREAT", "O_TRUNC"]
    inode = disk.find(path)
    if inode is None:
        assert "O_CREAT" in flags, path
        inode = disk.fresh()
        disk.files[inode] = bytearray()
        disk.name(path.parent, (path.name, inode))
    elif "O_TRUNC" in flags and disk.files[inode]:
        disk.resize(inode, 0)
    plain = name == "creat" or "O_WRONLY" in flags or "O_EXCL" in flags
    disk.handles[result] = Handle(inode, path, append="O_APPEND" in flags, plain=plain)


def _rename(disk: Recording, name: str, arguments: list[str]) -> None:
    if "at" in name[4:]:
        old, new = _path(arguments[1], arguments[0]), _path(arguments[3], arguments[2])
    else:
        old, new = _path(arguments[0]), _path(arguments[1])
    if not disk.covers(new):
        assert not disk.covers(old), f"{old} leaves the folder"
        return
    inode = disk.find(old)
    assert inode is not None, old
    if name.startswith("link"):
        disk.name(new.parent, (new.name, inode))
    else:
        assert old.parent == new.parent, "renames between folders are not modelled"
        disk.name(new.parent, (old.name, None), (new.name, inode))


def _at_path(disk: Recording, name: str, arguments: list[str]) -> None:
    path = _path(arguments[1], arguments[0]) if name.endswith("at") else _path(arguments[0])
    if not disk.covers(path):
        return
    assert name not in ("truncate", "symlink", "symlinkat"), f"{name} is not modelled"
    if name.startswith("mkdir"):
        inode = disk.fresh()
        disk.folders[inode] = {}
        disk.name(path.parent, (path.name, inode))
    else:
        disk.name(path.parent, (path.name, None))


def _refuse_shared(disk: Recording, arguments: list[str]) -> None:
    """Only SQLite's own index of its log is written through memory; it is made anew after a crash."""
    if len(arguments) > 4 and "PROT_WRITE" in arguments[2] and "MAP_SHARED" in arguments[3]:
        handle = disk.handles.get(_number(arguments[4]))
        assert handle is None or handle.path.name.endswith("-shm"), f"{handle} is written through memory"


def _at_handle(disk: Recording, name: str, arguments: list[str], result: int, since: int) -> None:
    number = _number(arguments[0])
    handle = disk.handles.get(number)
    if handle is None:
        if name == "write" and number == 1:
            disk.operations.append(Said(_bytes(arguments[1])))
        elif name not in ("close", "lseek"):
            assert not disk.covers(_named(arguments[0])), f"{name} on a file that was opened unseen"
        return
    if name == "close":
        del disk.handles[number]
    elif name == "lseek":
        handle.at = result
    elif name in ("fsync", "fdatasync"):
        disk.operations.append(Sync(handle.inode, since))
    elif name == "ftruncate":
        disk.resize(handle.inode, int(arguments[1]))
    elif name == "fallocate":
        assert arguments[1] == "0", arguments
        disk.resize(handle.inode, max(len(disk.files[handle.inode]), int(arguments[2]) + int(arguments[3])))
    elif name == "pwrite64":
        disk.write(handle.inode, int(arguments[-1]), _bytes(arguments[1])[:result])
    else:
        _sequential(disk, handle, name, arguments, result)


def _sequential(disk: Recording, handle: Handle, name: str, arguments: list[str], result: int) -> None:
    """A write at the place where the last one ended."""
    assert handle.plain, f"{name} on {handle.path}, which is read too: its place is unknown"
    if handle.append:
        handle.at = len(disk.files[handle.inode])
    if name == "write":
        body = _bytes(arguments[1])[:result]
    elif name == "writev":
        body = _buffers(arguments[0])[:result]
    elif name == "sendfile":
        body = _copied(disk, arguments, result)
    else:
        raise AssertionError(f"{name} is not modelled")
    disk.write(handle.inode, handle.at, body)
    handle.at += len(body)


def _copied(disk: Recording, arguments: list[str], result: int) -> bytes:
    """What sendfile took from another file of the folder (``[at] => [end]`` or ``[at]``)."""
    source = disk.handles[_number(arguments[1])]
    start = int(re.findall(r"\d+", arguments[2])[0])
    return bytes(disk.files[source.inode][start : start + result])
