"""One of the processes that ``workers`` starts: it opens the index and answers batch after batch."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import IO

from fingerpost.config import Settings
from fingerpost.evaluate import measures, runner
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import listing
from fingerpost.index.search.found import Request
from fingerpost.store.store import Store


def serve(told: IO[bytes], answers: IO[bytes]) -> None:
    """The first line says which index and how to measure; each further one is a batch of ``Question``s."""
    start = json.loads(told.readline())
    path, settings = Path(start["path"]), Settings.model_validate_json(start["settings"], strict=False)
    parsed = measures.parse(start["measures"])
    names: dict[int, str] = {}
    store = Store.open(path, unlabelled=settings.store.unlabelled)
    rooms = Rooms(path, store, settings)
    try:
        for line in told:
            found = []
            for text, grades, own in json.loads(line):
                request = Request(text, (), start["principals"])
                rankings = listing.rankings(rooms, request, k=start["depth"], names=names)
                one = runner.measure(rankings, grades, parsed, own=own)
                found.append({"values": one.values, "promised": one.promised, "right": one.right})
            answers.write(json.dumps(found).encode() + b"\n")
            answers.flush()
    finally:
        store.close()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
