"""Writers that want the same index at once: ``python rivals.py FOLDER SEED COUNT [GUARD]``.

Always RIVALS processes try to open it. Who gets in says what stands there, makes a few steps of worker.py's,
and closes, or is killed with SIGKILL at a named place; another process comes in its place, COUNT in all. Said
while the lock is held, the lines of all of them are in the order of what they did.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import worker
from oracle import epoch_of, version_of
from victims import Mine

import fingerpost.store.lock as lock
from fingerpost.errors import LockedError
from fingerpost.store import Store
from fingerpost.store.points import PLACES

RIVALS = 4
NAMES = [f"doc{number}" for number in range(12)]
_EXITING = 0x4
"""The system's flag of a process that is ending, and has closed its files or is about to."""


def no_lock() -> None:
    """Whoever comes gets in."""
    lock.fcntl = type("Unlocked", (), {"LOCK_EX": 0, "LOCK_NB": 0, "flock": staticmethod(lambda *_: None)})  # type: ignore[assignment]


def nobody_looks() -> None:
    """The same, and nobody looks whether he is alone: only the harm may tell."""
    no_lock()
    globals()["alive"] = lambda holder: False


GUARDS = {each.__name__: each for each in (no_lock, nobody_looks)}


def alive(holder: str) -> bool:
    """Whether a process is neither gone nor going."""
    try:
        told = Path(f"/proc/{holder}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return told[0] not in "ZX" and not int(told[6]) & _EXITING


def get_in(folder: Path, choice: random.Random) -> Store:
    """Try until nobody else writes."""
    points = Mine(choice.choice(list(PLACES)), choice.randint(1, 3)) if choice.random() < 0.5 else Mine()
    while True:
        try:
            return Store.open(folder, write=True, points=points)
        except LockedError as error:
            if not error.detail.isdigit() and error.detail != "unknown":
                raise
            time.sleep(choice.uniform(0, 0.002))


def contend(folder: Path, seed: int) -> None:
    """Get in once, look, write, leave."""
    choice, mark = random.Random(seed), folder.parent / "inside"
    store = get_in(folder, choice)
    holder = mark.read_text() if mark.exists() else ""
    assert not holder or not alive(holder), "two writers at once"
    mark.write_text(str(os.getpid()))
    snapshot = store.snapshot()
    found = {name: version_of(snapshot, name) for name in NAMES}
    worker.say(found=found, epoch=epoch_of(store), generation=snapshot.generation)
    for number in range(choice.randint(1, 4)):
        worker.step(store, choice, seed * 10 + number)
    mark.write_text("")
    store.close()


def run(folder: Path, seed: int) -> None:
    """In a child; never returns."""
    try:
        contend(folder, seed)
    except BaseException as error:
        worker.say(error=f"{error!r} {traceback.format_exc()[-1500:]}")
    os._exit(0)


def main(folder: Path, seed: int, count: int) -> None:
    """Keep RIVALS children until ``count`` have been started, then wait for them."""
    living, started, killed = 0, 0, 0
    while started < count or living:
        if started < count and living < RIVALS:
            if not os.fork():
                run(folder, seed * 1_000_000 + started)
            living, started = living + 1, started + 1
            continue
        killed += os.waitstatus_to_exitcode(os.wait()[1]) == -signal.SIGKILL
        living -= 1
    worker.say(killed=killed)


if __name__ == "__main__":
    if len(sys.argv) > 4:
        GUARDS[sys.argv[4]]()
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
