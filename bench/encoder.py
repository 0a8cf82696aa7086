"""The encoder: how fast on one thread, how near to float32, and whether company changes a text's vector.

    python -m bench.encoder                 a minute or two
    python -m bench.encoder --quality       and SciFact's dense ranking in both precisions (ten minutes)

Times are CPU milliseconds of this process, the least of several rounds; on a busy machine two threads of
one core still slow each other down, so compare rows of one run rather than runs.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from bench.common import data_folder, table, write
from fingerpost.config import ModelSettings
from fingerpost.evaluate.datasets import load_beir
from fingerpost.evaluate.measures import parse, score
from fingerpost.models import build, cache, sources
from fingerpost.models.encoder import Encoder, load_encoder
from fingerpost.models.files import read
from fingerpost.models.runners import session
from fingerpost.models.tokenizer import WordPieces

PIECES = 128
QUERY = 10
ROUNDS = 7
BATCHES = (1, 4, 16, 32)
MEASURES = "nDCG@10 Hits@1 R@100"


def main() -> None:
    """Measure, print the tables, write bench/results/encoder.json."""
    lines = (data_folder() / "scifact" / "corpus.jsonl").read_text(encoding="utf-8").splitlines()
    corpus = [json.loads(line) for line in lines]
    passages = {each["_id"]: f"{each['title']} {each['text']}".strip() for each in corpus}
    questions = load_beir(data_folder() / "scifact")
    texts, asked = list(passages.values()), list(questions.queries.values())
    int8, exact = _encoder("int8"), _encoder("float32")
    result: dict[str, object] = {
        "speed": {"int8": speed(int8, texts, asked), "float32": speed(exact, texts, asked)},
        "opening": opening(),
        "company": company(texts),
        "agreement": agreement(int8, exact, texts[:200], asked[:200]),
    }
    if "--quality" in sys.argv:
        pairs = {"int8": int8, "float32": exact}
        result["scifact"] = {name: quality(encoder, passages, questions) for name, encoder in pairs.items()}
    for name, part in result.items():
        print(f"\n{name}\n{_table(part)}")
    write("encoder", result)


def speed(encoder: Encoder, texts: list[str], asked: list[str]) -> dict[str, float]:
    """One thread: queries; passages of 128 word pieces ([CLS] and [SEP] included), without and with token
    vectors.
    """
    cut = [_cut(encoder, text, PIECES - 2) for text in texts[:400]]
    whole = [text for text in cut if encoder.count_tokens([text])[0] == PIECES - 2][:24]
    plain = _least(lambda: encoder.encode_passages(whole)) / len(whole)
    tokens = _least(lambda: encoder.encode_passages(whole, tokens=True)) / len(whole)
    query = _least(lambda: [encoder.encode_query(text) for text in asked[:40]]) / 40
    few = [_cut(encoder, text, QUERY) for text in asked[:40]]
    short = _least(lambda: [encoder.encode_query(text) for text in few]) / 40
    pieces = _least(lambda: encoder.count_tokens(whole)) / len(whole)
    return {
        f"query of {QUERY} ms": short,
        "SciFact query ms": query,
        "its word pieces": float(np.mean(encoder.count_tokens(asked[:40]))),
        "passages of 128 a cpu-second": 1000 / plain,
        "with token vectors": 1000 / tokens,
        "of which word pieces ms": pieces,
    }


def opening() -> dict[str, float]:
    """Building the network once, and opening it from the cache, in CPU milliseconds."""
    source = sources.minilm()
    blob = read(source.folder / "tokenizer.json")
    pieces = WordPieces(blob, vocabulary=source.vocabulary, max_length=source.max_length)
    built = _least(lambda: build._build(read(source.weights), source, pieces, "int8"), rounds=1)
    again = _least(lambda: _encoder("int8"), rounds=3)
    megabytes = sum(path.stat().st_size for path in _graphs("int8")) / 1e6
    return {"build ms": built, "open ms": again, "graph MB": megabytes}


def company(texts: list[str]) -> dict[str, dict[str, float]]:
    """The same network fed batches of equally long texts (no padding): speed, and what becomes of the
    vectors.
    """
    model = onnx.load_model(_graphs("int8")[0])
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    network = session(model.SerializeToString())
    encoder = _encoder("int8")
    ids = [encoder._pieces.framed(encoder._pieces.ids(text)[: PIECES - 2]) for text in texts[:120]]
    ids = [each for each in ids if each.shape[1] == PIECES][:64]

    def run(size: int) -> NDArray[np.float32]:
        stacked = [np.concatenate(ids[at : at + size]) for at in range(0, len(ids), size)]
        return np.concatenate([network.run(["vector"], {"input_ids": each})[0] for each in stacked])

    alone = run(1)
    rows = {}
    for size in BATCHES:
        vectors = run(size)
        rows[f"batch {size}"] = {
            "passages a cpu-second": 1000 * len(ids) / _least(lambda size=size: run(size), rounds=3),
            "same bytes as alone": float(np.mean((vectors == alone).all(axis=1))),
            "least cosine to alone": float((vectors * alone).sum(axis=1).min()),
        }
    return rows


def agreement(
    int8: Encoder, exact: Encoder, texts: list[str], asked: list[str]
) -> dict[str, dict[str, float]]:
    """Cosines of 8-bit vectors to float32 ones."""
    rows = {}
    for name, some in (("passages", texts), ("queries", asked)):
        cosines = (int8.encode_passages(some).vectors * exact.encode_passages(some).vectors).sum(axis=1)
        rows[name] = {"texts": len(some), "mean cosine": float(cosines.mean()), "least": float(cosines.min())}
    return rows


def quality(encoder: Encoder, passages: dict[str, str], questions: Any) -> dict[str, float]:
    """SciFact test, every document one vector of its first 256 word pieces, exhaustive."""
    vectors = encoder.encode_passages(list(passages.values())).vectors
    measures = parse(MEASURES)
    values = []
    for query_id, text in questions.queries.items():
        scores = vectors @ encoder.encode_query(text).vector
        run = dict(zip(passages, scores.tolist(), strict=True))
        values.append(score(measures, run, questions.qrels[query_id]))
    return dict(zip(map(str, measures), np.mean(values, axis=0).tolist(), strict=True))


def _encoder(precision: str) -> Encoder:
    encoder = load_encoder(ModelSettings(), threads=1, precision=precision)
    assert encoder is not None
    return encoder


def _graphs(precision: str) -> list[Path]:
    """The cached graph that the default encoder runs."""
    source = sources.minilm()
    key = build.digest([build.BUILDER, source.weights_sha256, source.config, source.pooling, precision])
    return [cache.folder() / f"{key}.onnx"]


def _cut(encoder: Encoder, text: str, pieces: int) -> str:
    """The beginning of a text, that many word pieces long."""
    ends = encoder.offsets(text)[:pieces, 1]
    return text[: ends[-1]] if len(ends) else text


def _least(work: Callable[[], object], *, rounds: int = ROUNDS) -> float:
    """The least CPU milliseconds of several rounds."""
    times = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return 1000 * min(times)


def _table(part: Any) -> str:
    rows = part if all(isinstance(value, dict) for value in part.values()) else {"minilm": part}
    header = ["", *next(iter(rows.values()))]
    return table(header, [[name, *row.values()] for name, row in rows.items()])


if __name__ == "__main__":
    main()
