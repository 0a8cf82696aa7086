"""Our side of the reading process: batches out, records in, a new process after a hang or a crash."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import Any

from fingerpost.compiler import wire
from fingerpost.compiler.wire import Item
from fingerpost.config import CompileSettings
from fingerpost.records import Rejection

BATCH_JOBS = 64
BATCH_BYTES = 2 << 20
MOST_BYTES = 64 << 20
"""What a reading process that stays is given before it is replaced."""


@dataclass(frozen=True, slots=True)
class Job:
    """Bytes to parse. ``kind`` forces a reader, ``line`` is the number of the payload's first line."""

    name: str
    payload: bytes
    origin: int = 0
    kind: str = ""
    line: int = 1


class Hung(Exception):
    """The reading process did not answer in time."""


class Worker:
    """One reading process."""

    def __init__(self, settings: CompileSettings) -> None:
        limits = {"memory_mb": settings.parser_memory_mb, "seconds": settings.parser_seconds}
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-m", "fingerpost.compiler.jail", json.dumps(limits)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            close_fds=True,
            bufsize=0,
        )
        self._buffer = bytearray()

    def send(self, jobs: list[Job]) -> None:
        """Hand over a batch; the process takes all of it in before it answers."""
        rows = [{"name": j.name, "kind": j.kind, "line": j.line, "size": len(j.payload)} for j in jobs]
        assert self._process.stdin is not None
        view = memoryview(b"".join([wire.pack({"jobs": rows}), *(job.payload for job in jobs)]))
        while view:
            view = view[self._process.stdin.write(view) :]

    def receive(self, deadline: float) -> Any:
        """The next frame. Raises Hung, or EOFError when the process has died."""
        size = int.from_bytes(self._take(4, deadline), "big")
        if size > wire.MAX_FRAME:
            raise EOFError
        return json.loads(self._take(size, deadline))

    def _take(self, size: int, deadline: float) -> bytes:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while len(self._buffer) < size:
            if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise Hung
            data = os.read(pipe, 1 << 20)
            if not data:
                raise EOFError
            self._buffer += data
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def end(self) -> int:
        """Kill the process; its exit status (negative: the signal)."""
        status = self._process.poll()
        if status is None:
            try:
                status = self._process.wait(0.2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                status = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        return status

    def close(self) -> None:
        """End of input; the process leaves by itself, or is killed."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self.end()


class Pool:
    """A reading process that is replaced when a file breaks it. One batch is parsed ahead."""

    def __init__(self, settings: CompileSettings) -> None:
        self._settings = settings
        self._worker: Worker | None = None
        self.taken = 0
        """Bytes handed to the process that runs."""

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._worker is not None:
            self._worker.end() if kind else self._worker.close()
            self._worker, self.taken = None, 0

    def run(self, work: Iterable[Job | Rejection]) -> Iterator[tuple[Job | None, Item]]:
        """What the jobs hold, in their order; rejections pass. While a batch is used, the next is parsed."""
        waiting = _batches(work)
        batch = next(waiting, None)
        self._send(batch or [])
        while batch:
            results = self._collect(batch)
            batch = next(waiting, None)
            self._send(batch or [])
            yield from results

    def _send(self, batch: Sequence[Job | Rejection]) -> None:
        jobs = [job for job in batch if isinstance(job, Job)]
        self.taken += sum(len(job.payload) for job in jobs)
        for _ in range(3 if jobs else 0):
            if self._worker is None:
                self._worker = Worker(self._settings)
            try:
                return self._worker.send(jobs)
            except BrokenPipeError:
                self._worker.end()
                self._worker = None
        return None

    def _collect(self, batch: Sequence[Job | Rejection]) -> list[tuple[Job | None, Item]]:
        results: list[tuple[Job | None, Item]] = []
        for at, job in enumerate(batch):
            if isinstance(job, Rejection):
                results.append((None, job))
                continue
            try:
                ended = False
                while not ended:
                    frame = self._frame()
                    ended = "end" in frame
                    results += [(job, wire.item_from_json(row)) for row in frame["items"]]
            except (Hung, EOFError) as error:
                results.append((job, self._postmortem(job, error)))
                self._send(batch[at + 1 :])
        return results

    def _frame(self) -> Any:
        if self._worker is None:
            raise EOFError
        return self._worker.receive(time.monotonic() + self._settings.parser_seconds + 1)

    def _postmortem(self, job: Job, error: Exception) -> Rejection:
        status = self._worker.end() if self._worker else 0
        self._worker = None
        seconds = self._settings.parser_seconds
        if isinstance(error, Hung) or status == -signal.SIGXCPU:
            return Rejection(
                "",
                "E_TIMEOUT",
                f"{job.name} took longer than {seconds} s to parse",
                "split it, or raise parser_seconds",
            )
        return Rejection(
            *(
                "",
                "E_BAD_FORMAT",
                f"the parser died of {job.name} (status {status}): damaged, or too large for memory",
            ),
            "mend or remove the file, or raise parser_memory_mb",
        )


class Warm:
    """A reading process that stays for the next call: starting one takes longer than reading a file. Whoever
    finds it in use by another thread reads in one of its own. ``close`` it in the end.
    """

    def __init__(self, settings: CompileSettings) -> None:
        self._settings, self._pool, self._lock = settings, Pool(settings), Lock()

    @contextmanager
    def lend(self) -> Iterator[Pool]:
        """The process for one call. It is replaced after a call that was broken off, with answers still in
        the pipe, and after ``MOST_BYTES``, so that what parsers leave in memory does not add up.
        """
        if not self._lock.acquire(blocking=False):
            with Pool(self._settings) as pool:
                yield pool
            return
        try:
            with self._pool if self._pool.taken > MOST_BYTES else ExitStack():
                yield self._pool
        except BaseException:
            self._pool.__exit__(*sys.exc_info())
            raise
        finally:
            self._lock.release()

    def close(self) -> None:
        """Let the process leave."""
        with self._lock, self._pool:
            pass


def _batches(work: Iterable[Job | Rejection]) -> Iterator[list[Job | Rejection]]:
    batch: list[Job | Rejection] = []
    size = 0
    for job in work:
        batch.append(job)
        size += len(job.payload) if isinstance(job, Job) else 0
        if len(batch) >= BATCH_JOBS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
