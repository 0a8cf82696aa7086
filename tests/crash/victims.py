"""Many writers to kill, started from one process that has loaded everything once.

``python victims.py`` reads a JSON line a victim, forks, and the child runs worker.py's main with the same
standard output. It is killed by SIGKILL when it reaches the place ``point`` for the ``nth`` time, or by the
system, as abruptly, when it has had ``seconds`` of processor time, so that a busy machine kills no earlier.
When it has died, a line says of what.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

sys.path.insert(0, str(Path(__file__).parent))
import broken
import worker

from fingerpost.store.points import Points


class Mine(Points):
    """Kills the process that reaches a place for the nth time; without a place, nobody."""

    def __init__(self, name: str = "", nth: int = 1) -> None:
        self.name, self.left = name, nth

    def reach(self, name: str) -> None:
        if name == self.name:
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)


def serve() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            run(order)
        worker.say(ended=-os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def run(order: Mapping[str, object]) -> None:
    """In the child; never returns."""
    try:
        if order.get("guard"):
            broken.GUARDS[str(order["guard"])]()
        if "seconds" in order:
            signal.setitimer(signal.ITIMER_PROF, float(str(order["seconds"])))  # nobody handles SIGPROF
        mine = Mine(str(order.get("point", "")), int(order.get("nth", 1)))  # type: ignore[call-overload]
        mix = order.get("mix", worker.EVERYTHING)
        worker.main(Path(str(order["folder"])), order["seed"], order.get("steps"), mix=mix, points=mine)  # type: ignore[arg-type]
    except BaseException as error:
        worker.say(error=repr(error))
    os._exit(1)


class Victims:
    """The other side: ``kill`` runs one victim to its death and returns the lines it said."""

    def __enter__(self) -> Victims:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-u", __file__]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def kill(self, folder: Path, **order: object) -> list[dict[str, object]]:
        """The last line is the victim's death, by a signal or – where it had ``steps`` – by its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"folder": str(folder), **order}) + "\n")
        self._process.stdin.flush()
        lines: list[dict[str, object]] = []
        while not lines or "ended" not in lines[-1]:
            lines.append(json.loads(self._process.stdout.readline()))
            assert "error" not in lines[-1], lines
        return lines


if __name__ == "__main__":
    serve()
