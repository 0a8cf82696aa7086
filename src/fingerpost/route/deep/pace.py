"""The pace of a training of several runs: each goes on from its checkpoint, and whoever watches is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Protocol

from fingerpost.route.deep import checkpoint
from fingerpost.route.deep.steps import Step, Watch


class Passing(checkpoint.Trainer, Protocol):
    """A run that trains pass by pass."""

    @property
    def steps(self) -> int:
        """How many it takes in all."""
        ...

    def one_pass(self) -> Iterator[float]:
        """The losses of a pass, step by step."""
        ...


class Pace:
    """What is done of all runs, what is left, and where checkpoints lie: ``<name>-<run>.safetensors``."""

    def __init__(self, name: str, folder: Path | None, watch: Watch) -> None:
        self._name, self._folder, self._watch = name, folder, watch
        self._done, self._total, self._cost = 0, 0, 0.0
        self._held_out: float | None = None

    def announce(self, total: int, cost: float) -> None:
        """Say what all ``total`` steps will take at ``cost`` seconds each."""
        self._total, self._cost = total, cost
        self._tell(None)

    def run(self, name: str, trainer: Passing, *, key: str, judge: Callable[[], float | None]) -> None:
        """Train to the end, from the checkpoint of this ``key`` if there is one, and ``judge`` every pass."""
        path = None if self._folder is None else self._folder / f"{self._name}-{name}.safetensors"
        if path is not None and checkpoint.resume(path, trainer, key=key):
            self._done += trainer.done
        self._held_out = None
        while trainer.done < trainer.steps:
            began, before = process_time(), trainer.done
            for loss in trainer.one_pass():
                self._done += 1
                self._tell(loss)
            self._cost = (process_time() - began) / (trainer.done - before)
            if path is not None:
                checkpoint.save(path, trainer, key=key)
            self._held_out = judge()

    def _tell(self, loss: float | None) -> None:
        left = (self._total - self._done) * self._cost / 60
        self._watch(Step(self._done, self._total, left, loss, self._held_out))
