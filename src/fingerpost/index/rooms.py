"""The open rooms of one index folder: the store, the encoder, and the epoch that now serves."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from fingerpost.compiler.pool import Warm
from fingerpost.config import Settings
from fingerpost.errors import FingerprintError
from fingerpost.index.audits import Audits
from fingerpost.index.beside import Beside
from fingerpost.index.clock import REAL, Clock
from fingerpost.index.epoch import SOURCES, Epoch, Shelf, mapping, parsed
from fingerpost.index.lagging import Lagging
from fingerpost.index.progress import Progress, silent
from fingerpost.index.turns import Turns
from fingerpost.models.encoder import Encoder, load_encoder
from fingerpost.models.rest import Rest
from fingerpost.rerank.cross import CrossEncoder
from fingerpost.route.deep.artifact import Tuned
from fingerpost.route.drift import Audit
from fingerpost.store import access
from fingerpost.store.disk import closed
from fingerpost.store.snapshot import Snapshot
from fingerpost.store.store import Store

NO_MODEL = "none"


class Rooms:
    """The store, the encoder (loaded when first needed) and the newest epoch of an open index."""

    def __init__(self, path: Path, store: Store, settings: Settings, clock: Clock = REAL) -> None:
        self.path, self.store, self.settings = path, store, _as_strict(settings, store.settings)
        self.clock = clock
        self._epoch: tuple[int, Epoch] | None = None
        self._current: tuple[int, int, Epoch] | None = None
        self._asking: tuple[Tuned, Encoder] | None = None
        self._roots: tuple[int, Mapping[str, str]] | None = None
        self._closed = False
        self.audits = Audits(path)
        self.reasons, self.answers = Rest(clock.steady), Rest(clock.steady)
        """Of the language model, which has another time limit for reasoning than for answers."""
        self.turns = Turns()
        self.lagging = Lagging(path, clock)
        self.beside = Beside("fold", clock)
        self.reading: Warm | None = None
        """The reading process that stays, once there was an update."""

    def keep_reading(self) -> None:
        """Keep the reading process from now on, until this is closed. Raises UsageError where it was."""
        if self._closed:
            raise closed(self.path)
        self.reading = self.reading or Warm(self.settings.compile)

    def close(self, progress: Progress = silent) -> None:
        """Wait for the fold that runs beside, let go of the folder and of the reading process, and raise what
        became of that fold; safe to call twice. Interrupted while it waits, it stops the fold: the folder is
        let go of only when nobody publishes any more.
        """
        self._closed = True
        self.audits.close()
        if self.reading is not None:
            self.reading.close()
        try:
            self.beside.wait(progress)
        except BaseException:
            self.beside.stop()
            self.store.close()
            raise
        self.store.close()
        self.beside.tell()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nothing is folded meanwhile: what is learned here is published beside the rows it was learned on.
        Waits for a fold that runs beside, and raises what became of it.
        """
        with self.store.folding():
            self.beside.tell()
            yield

    @cached_property
    def encoder(self) -> Encoder | None:
        """The encoder that made the index. Raises FingerprintError when the settings name another one."""
        encoder = load_encoder(self.settings.models, threads=self.settings.compile.threads)
        own = encoder.fingerprint if encoder else NO_MODEL
        if own != self.store.fingerprint:
            raise _stranger(self.path, self.store.fingerprint, own)
        return encoder

    def asking(self, epoch: Epoch) -> Encoder | None:
        """The encoder as an epoch's queries are encoded: with the network trained for them, if there is one.

        Raises FingerprintError where that was trained from another encoder.
        """
        encoder, tuned = self.encoder, epoch.tuned
        if encoder is None or tuned is None:
            return encoder
        known = self._asking
        if known is None or known[0] is not tuned:
            graph = tuned.checked(encoder.fingerprint).graph
            known = self._asking = (tuned, encoder.with_queries(graph))
        return known[1]

    @cached_property
    def cross_encoder(self) -> CrossEncoder | None:
        """The cross-encoder that the settings name. Raises ModelError where it cannot be used."""
        folder = self.settings.rerank.cross_encoder
        return CrossEncoder(Path(folder), rest=Rest(self.clock.steady)) if folder else None

    @property
    def threads(self) -> int:
        """How much is done side by side: ``compile.threads``, or the machine's cores."""
        return self.settings.compile.threads or os.cpu_count() or 1

    @property
    def roots(self) -> Mapping[str, str]:
        """The folders that were compiled, so that a single file keeps the id its folder gave it."""
        desk = self.store.desk
        known = self._roots
        if known is None or known[0] != desk.generation:
            kept = desk.artifact(SOURCES)
            known = self._roots = (desk.generation, {} if kept is None else parsed(SOURCES, kept, mapping))
        return known[1]

    def audit(self, epoch: Epoch, *, anew: bool = False) -> Audit:
        """What audits found of an epoch's router under these settings, in all processes; nothing where audits
        are off.
        """
        return self.audits.of(self.audited(epoch), anew=anew) if self.settings.route.audit else Audit()

    def audited(self, epoch: Epoch) -> str:
        """What an epoch's audits are kept under: how far it looks is up to the settings too."""
        retrieve = self.settings.retrieve
        return f"{epoch.audited} {self.settings.route.budget} {retrieve.depth} {retrieve.hop}"

    def epoch(self, snapshot: Shelf) -> Epoch:
        """The epoch of a snapshot's (or the desk's) generation, read once."""
        known = self._epoch
        if known is None or known[0] != snapshot.generation:  # another thread may ask for another one
            known = self._epoch = (snapshot.generation, Epoch.of(snapshot))
        return known[1]

    def current(self, snapshot: Snapshot) -> Epoch:
        """The epoch of a snapshot, what was learned naming documents by the versions that stand in it."""
        epoch, known = self.epoch(snapshot), self._current
        if not epoch.names_documents:
            return epoch
        if known is None or known[0] != snapshot.generation or known[1] > snapshot.seq:
            known = (snapshot.generation, snapshot.folded_seq, epoch)
        if known[1] < snapshot.seq:
            replaced = snapshot.replaced(known[1])
            known = (known[0], snapshot.seq, known[2].renamed(replaced) if replaced else known[2])
        self._current = known
        return known[2]


def _as_strict(settings: Settings, made: Settings) -> Settings:
    """The settings of who opens an index, isolating callers and hiding documents at least as strictly as the
    index was made to: a settings file that happens to lie where a command is run must not lift that.
    """
    own, given = made.store, settings.store
    isolation = own.isolation if own.isolation == "strict" else given.isolation
    unlabelled = access.stricter(own.unlabelled, access.named(settings))
    held = given.model_copy(update={"isolation": isolation, "unlabelled": unlabelled})
    return settings.model_copy(update={"store": held})


def _stranger(path: Path, made: str, own: str) -> FingerprintError:
    """What to say where an index was made with other models than the settings name."""
    (encoder, _, late), (own_encoder, _, own_late) = made.partition("+"), own.partition("+")
    if encoder != own_encoder:
        return FingerprintError(
            "E_FINGERPRINT",
            f"{path} was made with model {encoder[:16]}, not {own_encoder[:16]}",
            cure="open it with the model that made it, or compile into a new folder",
        )
    said = [f"late-interaction model {one[:16]}" if one else "the encoder itself" for one in (late, own_late)]
    return FingerprintError(
        "E_FINGERPRINT",
        f"the token vectors of {path} are by {said[0]}, those of queries by {said[1]}: they do not compare",
        cure="set models.late to the folder that made it, as it was then, or compile into a new folder",
    )
