"""A reading process beside a writer: ``python reader.py FOLDER`` looks until its input ends."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from rings import seen

from fingerpost.store import Store

LOOKS, FAILED = "looks-", "failed"


def watch(folder: Path) -> None:
    """A reading process: looks in two threads until its input ends, then tells how often it looked. How often
    it has so far stands in a file of its own.
    """
    stop, failures, looks = threading.Event(), [], [0, 0]
    told = folder.parent / f"{LOOKS}{os.getpid()}"

    def look(at: int) -> None:
        try:
            with Store.open(folder) as store:
                kept, last, generation = store.snapshot(), -1, 0
                first = seen(kept)
                while not stop.is_set():
                    floor = int((folder.parent / "acknowledged").read_bytes() or b"0")
                    snapshot = store.snapshot()
                    version, _ = seen(snapshot)
                    assert version >= max(last, floor), f"v{version} after v{last}, v{floor} was acknowledged"
                    assert snapshot.generation >= generation, "an older generation than before"
                    last, generation = version, snapshot.generation
                    looks[at] += 1
                    told.write_text(str(sum(looks)))
                    if generation >= kept.generation + 3:  # outlived three publications
                        assert seen(kept) == first, "a kept view has changed"
                        kept, looks[at] = snapshot, looks[at] + 1
                        first = seen(kept)
        except BaseException as error:
            failures.append(repr(error))
            told.write_text(FAILED)

    threads = [threading.Thread(target=look, args=(at,)) for at in range(2)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps({"looks": sum(looks), "failures": failures}), flush=True)


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
