"""Speed, memory and disk of the store with synthetic chunks: ``python tests/store/measure.py [CHUNKS]``."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fingerpost.records import Chunk, Document
from fingerpost.store import Layout, Store
from fingerpost.text.query import parse

D, PER, WORDS = 384, 5, 115
rng = np.random.default_rng(0)
lexicon = np.array(
    ["".join(chr(97 + c) for c in rng.integers(0, 26, int(rng.integers(3, 10)))) for _ in range(60_000)]
)
shares = np.cumsum(1 / np.arange(1, 60_001) ** 1.05)
centres = rng.standard_normal((500, D)).astype(np.float32)


def document(number: int) -> tuple[Document, list[Chunk]]:
    """Five chunks of 115 words with Zipf's frequencies."""
    chunks, text = [], ""
    for ordinal in range(PER):
        drawn = lexicon[np.searchsorted(shares, rng.random(WORDS) * shares[-1])]
        piece, start = " ".join(drawn) + "\n", len(text)
        text += piece
        name = f"d{number}#{ordinal}"
        chunks.append(
            Chunk(name, f"d{number}", ordinal, start, len(text), piece, f"T{number}", (f"P{ordinal}",))
        )
    kind = {"source": "docs" if number % 20 else "rare"}
    return Document(f"d{number}", text, f"T{number}", metadata=kind), chunks


def vectors(count: int) -> np.ndarray:
    drawn = centres[rng.integers(0, 500, count)] + 0.9 * rng.standard_normal((count, D)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def timed(name: str, call: Callable[[int], object], repeat: int = 200) -> None:
    """Median, 95th percentile and best of ``repeat`` calls, in milliseconds."""
    for number in range(10):
        call(number)
    took = []
    for number in range(repeat):
        begin = time.perf_counter()
        call(number)
        took.append(1e3 * (time.perf_counter() - begin))
    middle, late = np.median(took), np.percentile(took, 95)
    print(f"{name:34} median {middle:6.2f}  p95 {late:6.2f}  best {min(took):6.2f} ms")


def resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def lasted(name: str, call: Callable[[], object]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{name:34} {wall:.2f} s, cpu {cpu:.2f} s; resident {resident():.0f} MB")


def fold(store: Store) -> int:
    live = store.live()
    offsets = np.append(np.arange(0, len(live.keys), 200), len(live.keys)).astype(np.int32)
    return store.publish(Layout(live.keys, offsets, live.seq))


def load(store: Store, chunks: int) -> int:
    size = 0
    for start in range(0, chunks // PER, 500):
        batch = [document(number) for number in range(start, min(start + 500, chunks // PER))]
        size += sum(len(d.text) for d, _ in batch)
        result = store.put(batch)
        store.put_vectors(result.keys, vectors(len(result.keys)))
    return size


def searches(store: Store) -> None:
    snapshot = store.snapshot()
    questions = [parse(" ".join(lexicon[rng.integers(20, 5_000, 8)])) for _ in range(100)]
    asked = vectors(100)
    leaves = [
        rng.choice(len(snapshot.leaf_offsets) - 1, 25, replace=False).astype(np.int32) for _ in range(100)
    ]
    timed("lexical top-100", lambda n: snapshot.lexical(questions[n % 100], k=100))
    timed("dense top-100, everything", lambda n: snapshot.dense(asked[n % 100], k=100))
    timed("dense top-100, 25 leaves", lambda n: snapshot.dense(asked[n % 100], k=100, leaves=leaves[n % 100]))
    for kind in ("docs", "rare"):
        allow = snapshot.allow(f"source:{kind}")
        share = allow.n_chunks / snapshot.n_chunks
        timed(
            f"lexical, {share:.0%} allowed",
            lambda n, a=allow: snapshot.lexical(questions[n % 100], k=100, allow=a),
        )
        timed(
            f"dense, {share:.0%} allowed", lambda n, a=allow: snapshot.dense(asked[n % 100], k=100, allow=a)
        )
    timed(
        "100 chunks with text", lambda n: snapshot.chunks(snapshot.lexical(questions[n % 100], k=100)[0]), 90
    )


def update(store: Store) -> Callable[[int], None]:
    question, asked = parse(" ".join(lexicon[50:58])), vectors(5)

    def one(number: int) -> None:
        result = store.put([document(10**6 + number)])
        store.put_vectors(result.keys, asked)
        store.snapshot().lexical(question, k=100)
        store.snapshot().dense(asked[0], k=100)

    return one


def main(chunks: int) -> None:
    root = Path(tempfile.mkdtemp()) / "kb"
    store = Store.create(root, fingerprint="f", dim=D)
    size = 0

    def fill() -> None:
        nonlocal size
        size = load(store, chunks)

    lasted(f"put {chunks:,} chunks with vectors", fill)
    lasted("first fold", lambda: fold(store))
    store.close()
    disk = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    print(f"disk {disk / 1e6:.0f} MB = {disk / size:.2f} × {size / 1e6:.0f} MB of text")
    lasted("open, sizes checked", lambda: Store.open(root, verify="sizes").close())
    lasted("open, digests checked", lambda: Store.open(root).close())
    store = Store.open(root, write=True)
    searches(store)
    print(f"resident {resident():.0f} MB")
    timed("update: put, vectors, both legs", update(store), 60)
    while len(store.snapshot().keys()) < chunks + 2_000:
        result = store.put([document(2 * 10**6 + int(store.live().seq))])
        store.put_vectors(result.keys, vectors(len(result.keys)))
    print("with a tail of 2,000 chunks:")
    searches(store)
    store.close()
    store = Store.open(root, write=True)
    lasted("first lexical search after reopening", lambda: store.snapshot().lexical(parse("word"), k=9))
    lasted("fold of 2,000 into the rest", lambda: fold(store))
    lasted("new artifact", lambda: store.republish({"router.bin": b"x" * 100_000}))
    lasted("check of everything", lambda: print(store.check()))
    store.close()
    shutil.rmtree(root.parent)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
