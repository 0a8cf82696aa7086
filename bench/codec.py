"""Token vectors in few bytes: what each form of the codec costs and what it keeps of float16's ranking.

    python -m bench.codec [set …] [--split train|test] [--most 300] [--indexes quality]

Reads the compiled indexes of ``bench.quality`` and their passages' token vectors, which are encoded once and
kept in bench/cache. For each form a codec is trained as ``compile`` trains it; its codes stand in for the
float16 vectors. *maxsim* is nDCG@10 of idf-weighted MaxSim alone over the candidates that late interaction
sees (``rerank.depth``), *search* that of the whole untrained pipeline. Forms are chosen on training
questions; test questions are for the figure that is published. *Noise* is 1 - r² between the scores of codes
and of float16 over a question's candidates, the mean over questions: it tells forms apart where nDCG cannot.
Bytes a token are over all word pieces of a passage, dropped ones included.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import fingerpost
from bench.common import CACHE, data_folder, table, write
from fingerpost.config import Settings
from fingerpost.evaluate import measures, significance
from fingerpost.evaluate.datasets import load_beir
from fingerpost.index.build import building
from fingerpost.index.epoch import Judges
from fingerpost.index.facade import Index
from fingerpost.index.search import gathering, listing, planning, ranking
from fingerpost.index.search.ranking import Asked
from fingerpost.records import Candidates
from fingerpost.rerank import late
from fingerpost.rerank.codec import ALL_KEPT, FINE, SMALL, Codec, Form, Pieces, inverse_frequency, weights_of
from fingerpost.retrieve import fuse
from fingerpost.text import query as parsing

SETS = ("scifact", "squad4")
MEASURE = measures.parse("nDCG@10")
FLOAT16 = 2 * 384
FORMS: Mapping[str, Form] = {
    "small": SMALL,
    "version 0.1": Form(256, 16, 0.25, ALL_KEPT),
    "more dropped": Form(252, 18, 0.15),
    "24 bytes": Form(384, 24, 0.25),
    "32 bytes": Form(384, 32, 0.25),
    "fine": FINE,
}
SPEED_QUERIES = 50

Scores = NDArray[np.float64]


class Tokens:
    """The token vectors of every passage of an index: float16 on disk, a passage by its key."""

    def __init__(self, path: Path) -> None:
        about = np.load(path.with_suffix(".npz"))
        ends = np.cumsum(about["lengths"])
        self._place = {
            key: slice(end - length, end)
            for key, length, end in zip(about["keys"].tolist(), about["lengths"], ends, strict=True)
        }
        self._ids = about["ids"]
        self._vectors = np.memmap(path, np.float16, mode="r").reshape(len(self._ids), -1)

    def __getitem__(self, key: int) -> tuple[NDArray[np.float32], Pieces]:
        rows = self._place[key]
        return self._vectors[rows].astype(np.float32), self._ids[rows]

    @classmethod
    def of(cls, index: Index, name: str) -> Tokens:
        """Those in the cache, or encoded now (a minute a few thousand passages)."""
        path = CACHE / "tokens" / f"{name}.f16"
        if not path.with_suffix(".npz").exists():
            _encode(index, path)
        return cls(path)


def _encode(index: Index, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    snapshot, encoder = index._rooms.store.snapshot(), index._rooms.encoder
    if encoder is None:
        raise SystemExit("the index has no encoder")
    keys, lengths, ids = snapshot.keys(), [], []
    with path.open("wb") as file:
        for start in range(0, len(keys), 256):
            passages = [chunk.passage for chunk in snapshot.chunks(keys[start : start + 256])]
            encoded = encoder.encode_passages(passages, tokens=True)
            for vectors, pieces in zip(encoded.tokens, encoded.token_ids, strict=True):
                file.write(vectors.astype(np.float16).tobytes())
                lengths.append(len(pieces))
                ids.append(pieces)
    np.savez(path.with_suffix(".npz"), keys=keys, lengths=lengths, ids=np.concatenate(ids))


@dataclass(frozen=True)
class Question:
    """One question: its candidates, which of them late interaction sees, and what is right."""

    asked: Asked
    candidates: Candidates
    first: NDArray[np.intp]
    grades: Mapping[str, int]


class Bench:
    """One set: questions with their candidates, and the token vectors of those."""

    def __init__(self, index: Index, name: str, split: str, most: int) -> None:
        self.rooms = index._rooms
        self.snapshot = self.rooms.store.snapshot()
        self.tokens = Tokens.of(index, name)
        self.effort = planning.full(self.rooms.settings.rerank)
        found = load_beir(data_folder() / name, split)
        ids = np.random.default_rng(0).permutation(sorted(found.qrels))[:most].tolist()
        self.questions = [self._question(found.queries[at], found.qrels[at]) for at in ids]
        seen = np.unique(np.concatenate([q.candidates.keys[q.first] for q in self.questions]))
        self.keys: list[int] = seen.tolist()
        every = self.snapshot.keys()
        count = min(building.CODEC_SAMPLE, len(every))
        sample = every[np.unique(np.linspace(0, len(every) - 1, count).astype(np.int64))]
        self.sample = list(zip(*(self.tokens[key] for key in sample.tolist()), strict=True))

    def _question(self, text: str, grades: Mapping[str, int]) -> Question:
        rooms, encoder = self.rooms, self.rooms.encoder
        if encoder is None:
            raise SystemExit("the index has no encoder")
        query = parsing.parse(text)
        asked = Asked(query, encoder.encode_query(query.text))
        epoch = rooms.epoch(self.snapshot)
        once, plan = gathering.route(rooms, self.snapshot, epoch, asked)
        found = gathering.gather(rooms, once, asked, gathering.Sight(self.snapshot, plan, None)).candidates
        order = np.argsort(-fuse.standardised(found.scores).scores, kind="stable")
        return Question(asked, found, order[: rooms.settings.rerank.depth], grades)

    def noise(self, judge: Judge, exact: Judge) -> float:
        """1 - r² of two judges' scores, the mean over questions."""
        found = []
        for question in self.questions:
            keys = question.candidates.keys[question.first]
            if len(keys) > 2:
                pair = np.stack([one.scores(question.asked, keys) for one in (judge, exact)])
                found.append(1 - float(np.asarray(np.corrcoef(pair))[0, 1]) ** 2)
        return float(np.mean(found))

    def values(self, judge: Judge) -> tuple[Scores, Scores]:
        """nDCG@10 of every question: of MaxSim alone, of the whole search."""
        alone, whole = zip(*(self._both(question, judge) for question in self.questions), strict=True)
        return np.array(alone), np.array(whole)

    def _both(self, question: Question, judge: Judge) -> tuple[float, float]:
        found, first = question.candidates, question.first
        keys, scores = found.keys[first], judge.scores(question.asked, found.keys[first])
        column = np.full(len(found.keys), np.nan, np.float32)
        column[first] = scores
        scored = Candidates(found.keys, found.docs, {**found.scores, "maxsim": column})
        look = ranking.look_again(self.snapshot, question.asked, scored, Judges(), effort=self.effort)
        ranked = ranking.rank(self.snapshot, question.asked, look, Judges())
        best = np.lexsort((keys, -np.nan_to_num(scores, nan=-1e9)))
        return (
            self._value(question, keys[best], scores[best]),
            self._value(question, found.keys[ranked.order], ranked.scores[ranked.order]),
        )

    def _value(self, question: Question, keys: NDArray[np.int64], scores: NDArray[np.floating]) -> float:
        run = listing.by_document(self.snapshot, keys, scores.astype(np.float32), k=100)
        return float(measures.score(MEASURE, dict(run), question.grades)[0])


class Judge:
    """MaxSim on float16 vectors, all word pieces: what every form is compared with."""

    def __init__(self, bench: Bench) -> None:
        self._tokens, self._idf = bench.tokens, inverse_frequency(bench.sample[1])
        self.token_bytes, self.chunk_bytes = float(FLOAT16), 0.0
        self.chunk_bytes = float(np.mean([FLOAT16 * len(self._tokens[key][1]) for key in bench.keys]))

    def scores(self, asked: Asked, keys: NDArray[np.int64]) -> NDArray[np.float32]:
        """One a passage."""
        if asked.encoded is None:
            raise SystemExit("the index has no encoder")
        weights = weights_of(asked.encoded.compared.ids, self._idf)
        query = asked.encoded.compared.vectors
        best = [(self._tokens[key][0] @ query.T).max(axis=0) for key in keys.tolist()]
        scores: NDArray[np.float32] = np.array(best, np.float32) @ (weights / weights.sum())
        return scores


class Coded(Judge):
    """MaxSim on codes."""

    def __init__(self, bench: Bench, codec: Codec) -> None:
        self.codec = codec
        self._codes: dict[int, bytes] = {}
        pieces = 0
        for start in range(0, len(bench.keys), 256):
            keys = bench.keys[start : start + 256]
            tokens, ids = zip(*(bench.tokens[key] for key in keys), strict=True)
            self._codes.update(zip(keys, self.codec.encode(tokens, ids), strict=True))
            pieces += sum(map(len, ids))
        size = sum(map(len, self._codes.values()))
        self.token_bytes, self.chunk_bytes = size / pieces, size / len(self._codes)

    def scores(self, asked: Asked, keys: NDArray[np.int64]) -> NDArray[np.float32]:
        """One a passage."""
        if asked.encoded is None:
            raise SystemExit("the index has no encoder")
        compared = asked.encoded.compared
        query = late.prepare(self.codec, compared.vectors, compared.ids)
        return late.maxsim(self.codec, query, [self._codes[key] for key in keys.tolist()]).idf

    def milliseconds(self, questions: Sequence[Question]) -> float:
        """Processor time of one query's candidates, decoding included: the best of five rounds' medians."""
        rounds = []
        for _ in range(5):
            taken = []
            for question in questions[:SPEED_QUERIES]:
                keys = question.candidates.keys[question.first]
                began = time.thread_time()
                self.scores(question.asked, keys)
                taken.append(time.thread_time() - began)
            rounds.append(float(np.median(taken)))
        return 1000 * min(rounds)


def measure(bench: Bench, forms: Mapping[str, Form]) -> dict[str, dict[str, object]]:
    """A row a form, float16 first."""
    exact = Judge(bench)
    before = bench.values(exact)
    rows: dict[str, dict[str, object]] = {"float16": _row(exact, before, before)}
    for name, form in forms.items():
        began = time.process_time()
        codec = Codec.train(*bench.sample, form=form)
        seconds = round(time.process_time() - began, 1)
        coded = Coded(bench, codec)
        rows[name] = _row(coded, bench.values(coded), before) | {
            "form": asdict(form),
            "noise": round(bench.noise(coded, exact), 4),
            "ms": round(coded.milliseconds(bench.questions), 2),
            "train_seconds": seconds,
        }
        print(name, rows[name], flush=True)
    return rows


def _row(judge: Judge, values: tuple[Scores, Scores], before: tuple[Scores, Scores]) -> dict[str, object]:
    kept = {}
    for name, now, then in zip(("maxsim", "search"), values, before, strict=True):
        low, high = significance.interval((now - then)[:, None])
        kept[name] = {
            "nDCG@10": round(float(now.mean()), 4),
            "of float16": round(float(now.mean() / then.mean()), 4),
            "difference": [round(float(x), 4) for x in ((now - then).mean(), low[0], high[0])],
        }
    return {
        "bytes_a_token": round(judge.token_bytes, 2),
        "bytes_a_chunk": round(judge.chunk_bytes),
        "smaller": round(FLOAT16 / judge.token_bytes, 1),
        **kept,
    }


def main() -> None:
    """Measure the sets named; a table each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--split", default="train", choices=("train", "test"))
    parser.add_argument("--most", type=int, default=300)
    parser.add_argument("--forms", nargs="*", default=list(FORMS), choices=list(FORMS))
    parser.add_argument("--indexes", default="quality")
    options = parser.parse_args()
    for name in options.sets:
        with ExitStack() as stack:
            index = stack.enter_context(fingerpost.open(CACHE / options.indexes / name, settings=Settings()))
            bench = Bench(index, name, options.split, options.most)
            rows = measure(bench, {form: FORMS[form] for form in options.forms})
        print(f"\n### {name}, {options.split}: {len(bench.questions)} questions\n")
        lines = [
            [form, row["bytes_a_token"], row["bytes_a_chunk"], row["smaller"], row.get("ms", "")]
            + [row[part][figure] for part in ("maxsim", "search") for figure in ("nDCG@10", "of float16")]  # type: ignore[index]
            for form, row in rows.items()
        ]
        header = ["form", "bytes a token", "a chunk", "× smaller", "ms"]
        print(table([*header, "maxsim", "of float16", "search", "of float16"], lines), flush=True)
        result = {"set": name, "split": options.split, "questions": len(bench.questions), "rows": rows}
        write("codec", result, part=f"{name}-{options.split}")


if __name__ == "__main__":
    main()
