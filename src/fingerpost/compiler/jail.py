"""The reading process: parses files it is handed as bytes, under limits, and answers in JSON.

Started as ``python -I -m fingerpost.compiler.jail LIMITS`` with an empty environment. It opens no file of
the user's; what it may take of memory, processor time, file size and descriptors is limited by the system.
A parser that hangs, crashes or eats memory takes only this process down.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Iterator
from typing import IO, Any

from fingerpost.compiler import formats, wire
from fingerpost.errors import FingerpostError
from fingerpost.records import Document, Rejection

FRAME_CHARACTERS = 1 << 20


def main() -> None:
    """Answer batches until the input ends."""
    limits = json.loads(sys.argv[1])
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a parser prints must not get between the frames
    confine(memory_mb=limits["memory_mb"])
    questions = sys.stdin.buffer
    while (batch := wire.receive(questions)) is not None:
        payloads = [questions.read(job["size"]) for job in batch["jobs"]]
        for number, job in enumerate(batch["jobs"]):
            _limit_time(limits["seconds"])
            _answer(number, job, payloads[number], answers)
            payloads[number] = b""


def confine(*, memory_mb: int) -> None:
    """Limit memory, and forbid written files and core dumps; irrevocable."""
    size = memory_mb << 20
    for what, limit in (
        (resource.RLIMIT_AS, size),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(what, (limit, limit))


def _limit_time(seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _answer(number: int, job: dict[str, Any], payload: bytes, answers: IO[bytes]) -> None:
    rows: list[list[Any]] = []
    size = 0
    for item in _items(formats.Source(payload, job["name"], job["kind"], job["line"])):
        rows.append(wire.item_to_json(item))
        size += len(item.text) if isinstance(item, Document) else 200
        if size > FRAME_CHARACTERS:
            answers.write(wire.pack({"items": rows}))
            rows, size = [], 0
    answers.write(wire.pack({"items": rows, "end": number}))
    answers.flush()


def _items(source: formats.Source) -> Iterator[wire.Item]:
    try:
        yield from formats.parse(source)
    except FingerpostError as error:
        yield Rejection("", error.code, error.message, error.cure)
    except MemoryError:
        yield Rejection(
            "", "E_TOO_BIG", f"{source.name} needs more memory than allowed", "raise parser_memory_mb"
        )
    except RecursionError:
        yield Rejection("", "E_DEPTH", f"{source.name} is nested too deep", "flatten it or leave it out")
    except Exception as error:  # a parser's own bug is one file's rejection, with its name
        what = f"{type(error).__name__}: {error}"[:200]
        yield Rejection(
            "", "E_BAD_FORMAT", f"{source.name} cannot be parsed ({what})", "mend or remove the file"
        )


if __name__ == "__main__":
    main()
