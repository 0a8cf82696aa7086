"""Questions that a language model writes about the index's passages, and keeps in the ledger.

They are kept as pairs of the origin ``written:…`` as soon as they are there: a run that is interrupted, or
that the model fails, goes on where it stopped, and the next one pays for new passages only. They go with
their document, and with the text they were written about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from fingerpost.compiler import questions, written
from fingerpost.compiler.questions import Made
from fingerpost.errors import ConfigError
from fingerpost.index.build.asking import Asking
from fingerpost.index.build.situating import Announce
from fingerpost.index.progress import Progress
from fingerpost.index.rooms import Rooms
from fingerpost.models.llm import load_llm
from fingerpost.records import WRITTEN, Chunk, Pair
from fingerpost.store.snapshot import Snapshot
from fingerpost.text.counts import counted

KIND = "written"
Drawn = tuple[int, Chunk]


def write(
    rooms: Rooms, count: int, progress: Progress, announce: Announce
) -> tuple[list[tuple[int, Made]], tuple[str, ...]]:
    """At most ``count`` written questions with the key of their document, and what was done in words. What
    it will cost is announced before the first request.

    Raises ConfigError where no language model is configured.
    """
    settings = rooms.settings
    llm = load_llm(settings.llm)
    if llm is None:
        message = "questions can only be written by a language model"
        raise ConfigError(
            "E_CONFIG_KEY", message, cure="set llm.url, or leave out --written", detail="llm.url"
        )
    snapshot, origin = rooms.store.snapshot(), written.origin(settings)
    passages = list(passages_of(snapshot, -(-count // written.EACH), seed=settings.compile.seed))
    known, stale = _known(rooms, origin)
    missing = [chunk for _, chunk in passages if chunk.chunk_id not in known]
    with llm:
        asking = Asking(llm, settings.llm)
        if missing:
            announce(str(written.cost(missing)))

        def ask(chunk: Chunk) -> list[str]:
            found = _asked(rooms, asking, chunk)
            kept = [Pair(text, chunk.doc_id, chunk.chunk_id, 1.0, origin) for text in found]
            if kept and chunk in rooms.store.desk.chunks_of(chunk.doc_id):  # it may have gone meanwhile
                rooms.store.add_pairs(kept, instead_of=stale)
            return found

        for at, (chunk, found) in enumerate(zip(missing, asking.side_by_side(ask, missing), strict=True)):
            known[chunk.chunk_id] = found
            progress("write", at + 1, len(missing))
    made = [(key, Made(text, KIND, {})) for key, chunk in passages for text in known[chunk.chunk_id]]
    return made[:count], _notes(asking, len(passages), missing, known)


def _asked(rooms: Rooms, asking: Asking, chunk: Chunk) -> list[str]:
    about = f"no questions were written about a passage of {chunk.doc_id}"
    reply = asking.reply(written.messages(chunk), max_tokens=written.REPLY_TOKENS, about=about)
    return [] if reply is None else written.questions(reply, chunk, rooms.settings)


def passages_of(snapshot: Snapshot, count: int, *, seed: int) -> Iterator[Drawn]:
    """At most ``count`` passages with the key of their document: one of each document, then another."""
    rng = np.random.default_rng(seed)
    documents = rng.permutation(np.unique(snapshot.doc_keys(snapshot.keys()))).tolist()
    left = count
    for turn in range(questions.MOST_CHUNKS):
        for key in documents:
            chunks = snapshot.chunks(snapshot.chunk_keys(np.array([key])))
            if turn < len(chunks) and left:
                order = np.random.default_rng([seed, key]).permutation(len(chunks))
                yield key, chunks[int(order[turn])]
                left -= 1
        if not left:
            return


def _known(rooms: Rooms, origin: str) -> tuple[dict[str, list[str]], list[str]]:
    """The questions written before, by chunk; and the origins of those that another model wrote."""
    found: dict[str, list[str]] = defaultdict(list)
    origins = set()
    for pair in rooms.store.pairs():
        if pair.origin == origin and pair.chunk_id is not None:
            found[pair.chunk_id].append(pair.query)
        origins.add(pair.origin)
    return found, sorted(one for one in origins - {origin} if one.startswith(WRITTEN))


def _notes(
    asking: Asking, passages: int, missing: Sequence[Chunk], known: dict[str, list[str]]
) -> tuple[str, ...]:
    useless = sum(not known[chunk.chunk_id] for chunk in missing) - asking.failed
    told = [
        f"asked about {counted(asking.asked, 'passage')}, {passages - len(missing):,} had their questions; "
        f"{counted(useless, 'reply')} held none that can be used"
    ]
    if asking.failed:
        told.append(f"{counted(asking.failed, 'request')} failed ({asking.last}): learn again to ask them")
    return tuple(told)
