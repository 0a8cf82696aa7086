"""Many questions at once: other processes open the same index, rank and measure, and give the numbers back.

Python runs one thread at a time, so every core needs a process:
``python -m fingerpost.index.measure.worker``, told by lines of JSON what to do. A batch that a worker
cannot do, for whatever reason, is done here, so that an error is the same one as without workers.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from queue import SimpleQueue
from threading import Lock
from types import TracebackType
from typing import IO, Any

from fingerpost.evaluate import runner
from fingerpost.evaluate.datasets import QuestionSet
from fingerpost.evaluate.measures import Measure
from fingerpost.evaluate.runner import Measured, Rank
from fingerpost.index.rooms import Rooms
from fingerpost.spread import Later, Team

MANY = 1_000
"""Questions from which starting other processes pays: each takes a second or two to open the index."""
BATCH = 20
AHEAD = 3
"""Batches waiting for each worker: enough that none is idle, few enough that memory stays flat."""

_log = logging.getLogger(__name__)

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Libraries beneath would start a thread for each core in each worker, and they would wait for each other."""

Question = tuple[str, dict[str, int], str | None]
"""Text, grades, and the document that is the question itself."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is the same for all questions."""

    principals: tuple[str, ...]
    measures: tuple[Measure, ...]
    depth: int


class Workers:
    """A process for each core, or as many as ``compile.threads`` allows. ``rank`` is how it is done here."""

    def __init__(self, rooms: Rooms, task: Task, rank: Rank) -> None:
        self._task, self._rank, self._alone = task, rank, Lock()
        self._stopped = False
        count = rooms.threads
        one = rooms.settings.compile.model_copy(update={"threads": 1})
        start = {
            "path": str(rooms.path.resolve()),
            "settings": rooms.settings.model_copy(update={"compile": one}).model_dump_json(),
            "principals": task.principals,
            "measures": [str(measure) for measure in task.measures],
            "depth": task.depth,
        }
        self._all = [_started(start) for _ in range(count)] if count > 1 else []
        self._idle: SimpleQueue[subprocess.Popen[bytes] | None] = SimpleQueue()
        for worker in self._all:
            self._idle.put(worker)
        if not self._all:
            self._idle.put(None)
        self._threads = Team(max(1, len(self._all)))

    def measured(self, questions: QuestionSet) -> Iterator[Measured]:
        """What each question comes to, in their order."""
        asked = (
            (text, dict(questions.qrels[query_id]), questions.own.get(query_id))
            for query_id, text in questions.queries.items()
        )
        waiting: deque[Later[list[Measured]]] = deque()
        while batch := list(islice(asked, BATCH)):
            waiting.append(self._threads.do(partial(self._done, batch)))
            if len(waiting) >= AHEAD * max(1, len(self._all)):
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()

    def _done(self, batch: Sequence[Question]) -> list[Measured]:
        worker = self._idle.get()
        try:
            if worker is not None:
                return _asked(worker, batch)
        except (OSError, ValueError, KeyError, TypeError) as error:
            if self._stopped:
                return []  # nobody asks for it any more
            _log.warning("a worker has ended, its questions are asked here: %s", error)
            worker = None
        finally:
            self._idle.put(worker)
        with self._alone:
            return [
                runner.measure(self._rank(text), grades, self._task.measures, own=own)
                for text, grades, own in batch
            ]

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let them end; when something went wrong, at once."""
        if kind is not None:
            self._stopped = True
            for worker in self._all:
                worker.kill()
        self._threads.close()
        for worker in self._all:
            with suppress(OSError):
                _pipe(worker.stdin).close()
            worker.wait()
            _pipe(worker.stdout).close()


def _started(start: dict[str, Any]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "fingerpost.index.measure.worker"]
    worker = subprocess.Popen(  # in a session of its own: Ctrl-C is ours, and closing its pipe ends it
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **dict.fromkeys(ONE_THREAD, "1")},
        start_new_session=True,
    )
    with suppress(OSError):  # one that has ended already is noticed when it is asked
        _send(_pipe(worker.stdin), start)
    return worker


def _asked(worker: subprocess.Popen[bytes], batch: Sequence[Question]) -> list[Measured]:
    _send(_pipe(worker.stdin), batch)
    answers = json.loads(_pipe(worker.stdout).readline())
    return [Measured(each["values"], each["promised"], each["right"]) for each in answers]


def _send(pipe: IO[bytes], what: object) -> None:
    pipe.write(json.dumps(what).encode() + b"\n")
    pipe.flush()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("a worker without a pipe")
    return pipe
