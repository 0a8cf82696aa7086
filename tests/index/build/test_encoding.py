"""Encoding beside reading: the same bytes in the same order on any number of threads, and never too much."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from threading import Event, current_thread
from typing import Any

import numpy as np
import pytest

import fingerpost
from fingerpost.config import ModelSettings
from fingerpost.index.build import building, encoding
from fingerpost.index.build.encoding import Encoding
from fingerpost.models.encoder import Encoder, load_encoder
from fingerpost.records import Chunk, Document
from fingerpost.rerank.codec import Codec

TEXTS = [f"Rotate key {at} after {at % 7 * '90 days or '}so." for at in range(61)]


def encoder(threads: int) -> Encoder:
    found = load_encoder(ModelSettings(), threads=threads)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def codec() -> Codec:
    encoded = encoder(2).encode_passages(TEXTS, tokens=True)
    return Codec.train(encoded.tokens, encoded.token_ids)


@pytest.mark.parametrize("cores", [1, 8])
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("many", [1, 7, 61])
def test_what_is_taken_is_what_encoding_alone_gives(
    codec: Codec, threads: int, many: int, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On as many cores as threads, and on more, where a further thread codes."""
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    whole = encoder(1).encode_passages(TEXTS[:many], tokens=True)
    with Encoding(encoder(threads), codec) as work:
        for at in range(0, many, 9):  # in pieces, as batches of documents come
            work.add((100 + key, TEXTS[key]) for key in range(at, min(at + 9, many)))
        assert work.keys == set(range(100, 100 + many))
        parts = [work.take(20) for _ in range(4)]
    assert [key for part in parts for key in part.keys] == list(range(100, 100 + many))
    assert np.concatenate([part.vectors for part in parts]).tobytes() == whole.vectors.tobytes()
    codes = [code for part in parts for code in part.codes or ()]
    assert codes == codec.encode(whole.tokens, whole.token_ids)
    assert not work.keys


def test_an_encoder_thread_codes_itself_rather_than_let_token_vectors_pile_up(
    codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    free, code, by = Event(), Codec.encode, []

    def slow(self: Codec, *what: Any) -> list[bytes]:
        by.append(current_thread().name)
        if len(set(by)) == 1:
            free.wait(120)  # whoever comes first, the thread that codes, until another one had to
        else:
            free.set()
        return code(self, *what)

    monkeypatch.setattr(Codec, "encode", slow)
    with Encoding(encoder(1), codec) as work:
        work.add((key, "key") for key in range(encoding.TASK * (encoding.MOST_UNCODED + 3)))
        coded = work.take(1_000)
    assert free.is_set()
    assert coded.keys == list(range(len(coded.keys)))
    assert len(coded.codes or ()) == len(coded.keys)


def test_the_first_batches_are_small_so_that_encoding_begins_at_once() -> None:
    items = [(Document(str(at), "text"), [Chunk("", "", 0, 0, 0, "")]) for at in range(400)]
    batches = list(building._batches(iter(items), first=8, most=128))
    assert [len(batch) for batch in batches] == [8, 16, 32, 64, 128, 128, 24]
    assert [item for batch in batches for item in batch] == items
    assert [len(batch) for batch in building._batches(iter(items[:3]), first=8, most=1)] == [1, 1, 1]


def test_without_a_codec_there_are_vectors_alone() -> None:
    with Encoding(encoder(2), None) as work:
        work.add([(1, "one"), (2, "two")])
        coded = work.take(10)
    assert (coded.keys, coded.codes) == ([1, 2], None)


def test_what_there_is_no_room_for_stays_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "MOST_WAITING", 20)
    with Encoding(encoder(2), None) as work:
        work.add((key, "key") for key in range(50))
        assert work.keys == set(range(20))
        assert work.take(50).keys == list(range(20))
        work.add([(7, "key")])
        assert work.keys == {7}


def test_ctrl_c_ends_it_wherever_it_comes() -> None:
    """Four hundred interruptions of encoding that is mostly handing over: an executor's own locks stayed
    taken after one in two hundred of them, and the program waited for ever.
    """
    code = """
import random, signal, threading, time, _thread
import numpy as np
from fingerpost.index.build.encoding import Encoding
from fingerpost.models.encoder import Encoded
signal.signal(signal.SIGINT, signal.default_int_handler)
random.seed(0)
class Instant:
    threads, dim = 3, 2
    def encode_passages(self, texts, tokens, threads):
        return Encoded(np.zeros((len(texts), 2), np.float32), [], [])
wanted = seen = 0
def interrupt():
    while True:
        time.sleep(random.uniform(0.001, 0.02))
        if wanted > seen:
            _thread.interrupt_main()
threading.Thread(target=interrupt, daemon=True).start()
while seen < 400:
    try:
        wanted = seen + 1
        while True:
            with Encoding(Instant(), None) as work:
                for at in range(20):
                    work.add((24 * at + key, "key") for key in range(24))
                work.take(480)
    except KeyboardInterrupt:
        seen += 1
print("ended")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout.strip() == "ended", done.stderr


def test_what_is_left_is_not_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, run = encoder(2), []
    passages = ours.encode_passages
    monkeypatch.setattr(ours, "encode_passages", lambda texts, **how: run.append(1) or passages(texts, **how))
    with Encoding(ours, None) as work:
        work.add((key, "word " * 200) for key in range(2_000))
    assert len(run) < 1_000


@pytest.mark.parametrize("most", [4_096, 24])
def test_many_files_at_once_end_as_a_compile_of_them_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """More batches than one, room for all or not, a document twice: nothing stays without a vector."""
    monkeypatch.setattr(encoding, "MOST_WAITING", most)
    folder = tmp_path / "docs"
    folder.mkdir()
    for at in range(8):
        (folder / f"{at}.md").write_text(f"# Begun {at}\n\n{TEXTS[at]}\n")
    with fingerpost.compile(folder, to=tmp_path / "grown") as index:
        for at in range(150):
            (folder / f"{at}.md").write_text(f"# Page {at}\n\n{TEXTS[at % 61]} {at}\n")
        index.update(folder, folder / "7.md")
        grown, status = _held(index), index.status()
    assert status["missing_vectors"] == 0
    with fingerpost.compile(folder, to=tmp_path / "whole") as index:
        whole = _held(index)
    assert grown == whole


def _held(index: fingerpost.Index) -> dict[str, bytes]:
    """The vector of every chunk by its id, where there are token codes."""
    store = index._rooms.store
    keys = store.live().keys
    held = store._state.encoded(keys.tolist())
    assert all(one.tokens for one in held.values())
    chunks = store.desk.chunks(keys)
    return {chunk.chunk_id: held[int(key)].vector.tobytes() for key, chunk in zip(keys, chunks, strict=True)}
