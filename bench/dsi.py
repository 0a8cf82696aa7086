"""The paper's DSI as a row beside a dual encoder and the hybrid, on a compiled index; and what happens to
documents that are new or deleted.

    python -m bench.dsi [set …] [--passes 8] [--pairs 2000] [--most 600] [--without-hybrid] [--without-new]

Needs the extra ``train`` and the indexes of bench.quality (a copy under ``cache/dsi`` is used where there is
one). The DSI is route/deep/dsi.py, trained on the training split; ``dense`` is the same frozen encoder;
``hybrid`` is the whole search with the memory and the fusion that ``learn`` makes of the same pairs. Test
questions whose documents training asked for and others apart. One thread, processor time.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time

import numpy as np
from numpy.typing import NDArray

import fingerpost
from bench.common import CACHE, data_folder, table, write
from fingerpost.evaluate.datasets import load
from fingerpost.index.learn import training
from fingerpost.index.learn.given import read
from fingerpost.index.learn.lesson import prepare
from fingerpost.index.progress import silent
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import searching
from fingerpost.index.search.found import Request
from fingerpost.records import Pair
from fingerpost.route.deep import decoder, dsi
from fingerpost.route.deep.seq2seq import Dials

Lists = dict[str, list[int]]
DELETED = 0.1
"""Share of the documents that are deleted, or held back and then added."""


@dataclass(frozen=True)
class Asked:
    """Test questions: name → text, right documents' keys, what a DSI reads."""

    texts: dict[str, str]
    right: dict[str, set[int]]
    memories: dict[str, NDArray[np.floating]]
    vectors: dict[str, NDArray[np.float32]]


class Bench:
    """One set, opened: its vectors, its pairs, its test questions."""

    def __init__(self, name: str, rooms: Rooms, most: int, given: list[Pair]) -> None:
        self.rooms, self.snapshot = rooms, rooms.store.snapshot()
        standing = rooms.store.live()
        self.vectors, self.docs = rooms.store.vectors(standing.keys), standing.docs
        self.lesson = prepare(rooms, self.snapshot, read(given), silent)
        self.titles = training.titles(rooms, self.snapshot, silent)
        test = load(data_folder() / name, "test")
        names = sorted(test.qrels)
        chosen = [names[at] for at in np.random.default_rng(0).permutation(len(names))[:most]]
        texts = {each: test.queries[each] for each in chosen}
        encoder = rooms.encoder
        if encoder is None:
            raise SystemExit("the index has no encoder")
        encoded = {each: encoder.encode_query(text) for each, text in texts.items()}
        right = {
            each: {self.snapshot.doc_key(doc) for doc, grade in test.qrels[each].items() if grade > 0}
            for each in chosen
        }
        memories = {each: decoder.memory(one.vector, one.tokens) for each, one in encoded.items()}
        self.asked = Asked(texts, right, memories, {each: one.vector for each, one in encoded.items()})

    def course(self, kept: NDArray[np.bool_], dials: Dials) -> dsi.Course:
        """A training on the documents that are ``kept``, a mask of the chunks."""
        known = np.isin(self.lesson.pairs.doc, self.docs[kept])
        memories = [training.memory_of(one.encoded) for one in self.lesson.asked if one.encoded is not None]
        here = set(self.docs[kept].tolist())
        titles = [(memory, key) for memory, key in self.titles if key in here]
        given = self.lesson.pairs.only(known)
        task = dsi.Task(memories, given, titles, self.vectors[kept], self.docs[kept])
        return dsi.Course(task, dials, None, lambda step: None)

    def dense(self, kept: NDArray[np.bool_]) -> Lists:
        """The ten nearest documents by their best chunk."""
        vectors, docs = self.vectors[kept].astype(np.float32), self.docs[kept]
        found = {}
        for name, vector in self.asked.vectors.items():
            order = docs[np.argsort(-(vectors @ vector), kind="stable")[:300]]
            found[name] = list(dict.fromkeys(order.tolist()))[:10]
        return found

    def hits(self, lists: Lists, names: list[str] | None = None) -> dict[str, float]:
        """Hits@1 and Hits@10, over documents seen and unseen in training apart."""
        taught = set(self.lesson.pairs.doc.tolist())
        rows: dict[str, list[float]] = {key: [] for key in ("Hits@1", "Hits@10", "seen@1", "unseen@1")}
        for name in names if names is not None else list(lists):
            right = self.asked.right[name]
            first = float(bool(set(lists[name][:1]) & right))
            rows["Hits@1"].append(first)
            rows["Hits@10"].append(float(bool(set(lists[name][:10]) & right)))
            rows["seen@1" if right & taught else "unseen@1"].append(first)
        return {key: round(float(np.mean(part)), 4) if part else float("nan") for key, part in rows.items()}

    def hybrid(self, rooms: Rooms) -> Lists:
        """The whole search's ten best documents."""
        found = {}
        for name, text in self.asked.texts.items():
            one = searching.find(rooms, Request(text))
            docs = one.snapshot.doc_keys(one.keys)
            found[name] = list(dict.fromkeys(docs.tolist()))[:10]
        return found


def spoken(bench: Bench, course: dsi.Course, graph: bytes, gone: set[int]) -> Lists:
    """What a DSI says to every test question, ``gone`` documents deleted after training."""
    course.docids = course.docids.renamed(dict.fromkeys(gone))
    speaker = decoder.Decoder(graph)
    said = bench.asked.memories.items()
    return {name: [key for key, _ in course.proposals(speaker, memory)] for name, memory in said}


def drawn(name: str, count: int) -> list[Pair]:
    """Training pairs, ``count`` of them by a seeded draw, or all."""
    given = read(data_folder() / name).pairs
    chosen = np.random.default_rng(0).permutation(len(given))[: count or len(given)]
    return [given[at] for at in np.sort(chosen)]


def measure(
    name: str, most: int, given: list[Pair], dials: Dials, *, hybrid: bool, new: bool
) -> dict[str, object]:
    """One set."""
    source = CACHE / "dsi" / name if (CACHE / "dsi" / name).is_dir() else CACHE / "quality" / name
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(source, Path(folder) / "kb")
        with fingerpost.open(Path(folder) / "kb", write=True) as index:
            bench = Bench(name, index._rooms, most, given)
            result = _measured(bench, dials, held_back=new)
            if hybrid:
                index.learn(given)
                result["rows"]["hybrid, learned"] = bench.hits(bench.hybrid(index._rooms))  # type: ignore[index]
    counts = {"documents": len(set(bench.docs.tolist())), "chunks": len(bench.docs)}
    counts |= {
        "pairs": len(bench.lesson.pairs.query),
        "titles": len(bench.titles),
        "questions": len(bench.asked.texts),
    }
    return {"set": name, **counts, "dials": asdict(dials), **result}


def _measured(bench: Bench, dials: Dials, *, held_back: bool) -> dict[str, object]:
    everything = np.ones(len(bench.docs), np.bool_)
    course = bench.course(everything, dials)
    queries = np.ones(len(bench.lesson.asked), np.bool_)
    began = process_time()
    course.announce([queries])
    graph = course.run("all", queries)
    minutes = (process_time() - began) / 60
    began = process_time()
    said = spoken(bench, course, graph, set())
    each = 1000 * (process_time() - began) / len(said)
    rows = {"dense": bench.hits(bench.dense(everything)), "DSI": bench.hits(said)}
    keys = np.unique(bench.docs)
    chosen = set(np.random.default_rng(1).choice(keys, int(DELETED * len(keys)), replace=False).tolist())
    left = [name for name, right in bench.asked.right.items() if not right & chosen]
    touched = [name for name, right in bench.asked.right.items() if right <= chosen]
    without = spoken(bench, course, graph, chosen)
    stays = {"before": bench.hits(said, left), "after": bench.hits(without, left)}
    still = sum(bool(set(named) & chosen) for named in without.values())
    news = {
        "dense": bench.hits(bench.dense(everything), touched),
        "DSI, trained with them": bench.hits(said, touched),
    }
    if held_back:
        later = bench.course(~np.isin(bench.docs, list(chosen)), dials)
        later.announce([queries])
        new = spoken(bench, later, later.run("new", queries), set())
        news["DSI, trained before they came"] = bench.hits(new, touched)
    return {
        "rows": rows,
        "cpu_minutes": round(minutes, 2), "query_ms": round(each, 2), "graph_bytes": len(graph),
        "docids": {"length": course.docids.length, "width": course.docids.width},
        "deleted": {"documents": len(chosen), "still_proposed": still, "others": stays},
        "new": {"questions": len(touched), **news},
    }  # fmt: skip


def main() -> None:
    """Measure the sets named and print a table each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("sets", nargs="*", default=["scifact", "spider-tables"])
    parser.add_argument("--most", type=int, default=600)
    parser.add_argument("--pairs", type=int, default=0, help="draw so many training pairs; 0 takes all")
    parser.add_argument("--passes", type=int, default=Dials().passes)
    parser.add_argument("--without-hybrid", action="store_true")
    parser.add_argument("--without-new", action="store_true")
    options = parser.parse_args()
    for name in options.sets:
        hybrid, new = not options.without_hybrid, not options.without_new
        given, dials = drawn(name, options.pairs), Dials(passes=options.passes)
        result = measure(name, options.most, given, dials, hybrid=hybrid, new=new)
        rows = [[leg, *figures.values()] for leg, figures in result["rows"].items()]  # type: ignore[attr-defined]
        print(f"\n### {name}: {result['cpu_minutes']} CPU minutes, {result['query_ms']} ms a query\n")
        print(table(["who", "Hits@1", "Hits@10", "seen@1", "unseen@1"], rows))
        print("deleted:", result["deleted"], "\nnew:", result["new"])
        write("dsi", result, part=f"{name}-{options.pairs}" if options.pairs else name)


if __name__ == "__main__":
    main()
