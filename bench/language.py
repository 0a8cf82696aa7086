"""What a language model of one's own is worth: sentences before chunks, questions to learn from, reasoning.

    python -m bench.language context --llm http://127.0.0.1:8080/v1 --articles 10
    python -m bench.language questions spider-tables --llm … --generate 600
    python -m bench.language reasoning scifact --llm … --most 100

``--llm`` is any OpenAI-compatible server, ``--model`` the name it wants to hear. *context* is the table of
``bench.context`` on a seeded draw of squad4's articles, without and with ``compile.situate``; *questions* the
search untrained, weighed by made questions, by made and written ones, and taught the written ones as if
somebody had given them; *reasoning* the search as asked and in each way of ``retrieve.reason``. Test
questions judge and choose nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fingerpost
from bench import context
from bench.common import CACHE, table, write
from bench.quality import sampled
from bench.zeroshot import MEASURES, compared, copied, difference
from fingerpost.config import Settings
from fingerpost.evaluate import significance
from fingerpost.index.learn.marks import ndcg
from fingerpost.index.search.found import Request
from fingerpost.index.search.searching import find
from fingerpost.records import WRITTEN, Pair

WAYS = ("off", "rewrite", "decompose", "hypothetical")

Values = NDArray[np.float64]


def settings(options: argparse.Namespace, **sections: Mapping[str, object]) -> Settings:
    """The settings of a user of that server; time-outs are long, since the machine may be shared."""
    llm = {
        "url": options.llm,
        "model": options.model,
        "context_tokens": options.context_tokens,
        "timeout_seconds": 600.0,
        "at_once": 1,
    }
    return Settings.model_validate({**sections, "llm": llm})


def part_of_articles(count: int) -> tuple[Path, list[tuple[str, context.Place]]]:
    """A seeded draw of the long documents as JSON Lines, and all questions about them: nothing is trained."""
    path, places = context.articles()
    records = [line for line in path.read_text().splitlines() if line]
    drawn = np.random.default_rng(0).permutation(len(records))[:count]
    chosen = [records[at] for at in drawn]
    titles = {json.loads(record)["_id"] for record in chosen}
    part = path.with_name(f"articles-{count}.jsonl")
    part.write_text("\n".join(chosen) + "\n")
    return part, context.questions(
        {doc: place for doc, place in places.items() if place[0] in titles}, ("train", "test")
    )


def sentences(options: argparse.Namespace) -> dict[str, Any]:
    """failure@20 of the same articles, their chunks plain, with titles, and with a sentence."""
    path, asked = part_of_articles(options.articles)
    own: dict[str, dict[str, object]] = {
        "plain": {"context": False},
        "context": {},
        "situated": {"situate": True},
    }
    failed = {}
    for kind, keys in own.items():
        chosen = settings(options, compile={"chunk_tokens": 128, "threads": 1, **keys})
        name = f"language-{options.articles}-{kind}"
        failed[kind] = context.failures(chosen, name, path, asked, k=options.k)
    given, of = _situated(f"language-{options.articles}-situated", asked)
    print(f"{int(given.sum())} of {len(asked)} questions are about chunks that got a sentence")
    rows = {}
    failed = {kind: {leg: missed[given] for leg, missed in legs.items()} for kind, legs in failed.items()}
    for kind, legs in failed.items():
        for leg, missed in legs.items():
            low, high = significance.interval(missed[:, None])[:, 0]
            means = [round(float(x), 4) for x in (missed.mean(), low, high)]
            rows[f"{kind} {leg}"] = [*means, difference(missed, failed["context"][leg])]
    told = [[*name.split(), row[0], row[1:3], row[3]] for name, row in rows.items()]
    print(table(["chunks", "leg", f"failure@{options.k}", "95 %", "to context"], told))
    about = {"articles": options.articles, "chunks": of, "questions": int(given.sum())}
    return {**about, f"failure@{options.k}": rows}


def _situated(name: str, asked: list[tuple[str, context.Place]]) -> tuple[NDArray[np.bool_], list[int]]:
    """Which questions are about chunks that have a sentence; how many chunks have one, of how many."""
    held: list[context.Place] = []
    count = 0
    with fingerpost.open(CACHE / name) as index:
        for doc_id in {place[0] for _, place in asked}:
            chunks = index._rooms.store.desk.chunks_of(doc_id)
            count += len(chunks)
            held += [(doc_id, chunk.start, chunk.end) for chunk in chunks if chunk.about]
    known = [any(doc == d and start < e and s < end for d, s, e in held) for _, (doc, start, end) in asked]
    return np.array(known), [len(held), count]


def questions(options: argparse.Namespace) -> dict[str, Any]:
    """One set: what the model writes, and what the search makes of it."""
    folder, kb = sampled(options.set, options.most), copied(options.set)
    kept = CACHE / "language" / f"{options.set}.jsonl"  # a second run asks for nothing twice
    with fingerpost.open(kb, write=True, settings=settings(options)) as index:
        if kept.exists():
            index._rooms.store.add_pairs(Pair(*json.loads(line)) for line in kept.read_text().splitlines())
        untrained = index.evaluate(folder, measures=MEASURES)
        rows, notes = {"untrained": compared(untrained, untrained)}, {}
        for way in ("made", "written"):
            began = time.perf_counter()
            report = index.learn(
                generate=options.generate, written=way == "written", progress=progress, announce=print
            )
            notes[way] = [*report.notes, f"{time.perf_counter() - began:.0f} s of wall clock"]
            rows[way] = compared(index.evaluate(folder, measures=MEASURES), untrained)
            if index.status()["fusion"] != "untrained":
                index.rollback()
        pairs = [pair for pair in index._rooms.store.pairs() if pair.origin.startswith(WRITTEN)]
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(
            "".join(json.dumps([p.query, p.doc_id, p.chunk_id, 1.0, p.origin]) + "\n" for p in pairs)
        )
        notes["as given"] = list(index.learn([Pair(pair.query, pair.doc_id) for pair in pairs]).notes)
        rows["as given"] = compared(index.evaluate(folder, measures=MEASURES), untrained)
    shutil.rmtree(kb)
    for way, row in rows.items():
        print(way, row["figures"], row["nDCG@10 to untrained"], *notes.get(way, ()), sep="\n  ")
    example = [[pair.query, pair.doc_id] for pair in pairs[:: max(1, len(pairs) // 12)]]
    return {"set": options.set, "pairs": len(pairs), "searches": rows, "notes": notes, "examples": example}


def reasoning(options: argparse.Namespace) -> dict[str, Any]:
    """One set, each question in every way."""
    folder = sampled(options.set, options.most)
    asked = fingerpost_questions(folder)
    values: dict[str, Values] = {}
    rows: dict[str, dict[str, Any]] = {}
    for way in (WAYS[0], *options.ways):
        limits = {"reason": way, "reason_seconds": 600.0, "reason_tokens": options.reason_tokens}
        with fingerpost.open(
            CACHE / "quality" / options.set, settings=settings(options, retrieve=limits)
        ) as index:
            values[way], rows[way] = _asked(index, asked)
        rows[way]["to off"] = difference(values[way], values["off"])
        print(way, rows[way], flush=True)
    return {"set": options.set, "questions": len(asked), "reason_tokens": options.reason_tokens, "ways": rows}


def fingerpost_questions(folder: Path) -> list[tuple[str, frozenset[str]]]:
    """The test questions with their documents."""
    texts = {one["_id"]: one["text"] for one in map(json.loads, (folder / "queries.jsonl").open())}
    right: dict[str, set[str]] = {}
    for line in (folder / "qrels" / "test.tsv").read_text().splitlines()[1:]:
        query, doc, grade = line.split("\t")
        if int(grade) > 0:
            right.setdefault(query, set()).add(doc)
    return [(texts[query], frozenset(docs)) for query, docs in sorted(right.items())]


def _asked(index: fingerpost.Index, asked: list[tuple[str, frozenset[str]]]) -> tuple[Values, dict[str, Any]]:
    """nDCG@10 of each question, and what the model did: texts used, seconds, failures, examples."""
    rooms, values, stages = index._rooms, [], []
    for text, doc_ids in asked:
        found = find(rooms, Request(text, k=100))
        docs = found.ranked.candidates.docs[found.ranked.order]
        keys = frozenset(found.snapshot.doc_key(doc_id) for doc_id in doc_ids)
        values.append(ndcg(docs, np.arange(len(docs), 0, -1.0), keys))
        stages += [(text, stage) for stage in found.trace.stages if stage.name == "reason"]
        rooms.rest.until = 0.0  # the next question is asked whatever became of this one
    used = [stage.counts.get("variants", 0.0) for _, stage in stages]
    row: dict[str, Any] = {"nDCG@10": round(float(np.mean(values)), 4)}
    if stages:
        row |= {
            "texts used": round(float(np.mean(used)), 2),
            "without any": sum(not count for count in used),
            "failed": sum("failed" in stage.note for _, stage in stages),
            "seconds p50": round(float(np.median([stage.ms for _, stage in stages])) / 1000, 2),
            "examples": [[text, stage.note] for text, stage in stages[:8]],
        }
    return np.array(values), row


def progress(stage: str, done: int, total: int | None, /) -> None:
    """A line each hundred."""
    if done % 100 == 0:
        print(f"  {stage} {done} of {total}", flush=True)


PARTS = {"context": sentences, "questions": questions, "reasoning": reasoning}


def main() -> None:
    """One part."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("set", nargs="?", default="scifact")
    parser.add_argument("--llm", required=True, help="base URL of an OpenAI-compatible server")
    parser.add_argument("--model", default="", help="the model's name on that server")
    parser.add_argument("--context-tokens", type=int, default=4_096)
    parser.add_argument("--articles", type=int, default=10)
    parser.add_argument("--k", type=int, default=context.K)
    parser.add_argument("--generate", type=int, default=600)
    parser.add_argument("--most", type=int, default=500)
    parser.add_argument("--ways", nargs="+", choices=WAYS[1:], default=WAYS[1:])
    parser.add_argument("--reason-tokens", type=int, default=128)
    options = parser.parse_args()
    result = {"model": options.model, **PARTS[options.part](options)}
    write(
        "language", result, part=f"{options.part}-{options.k if options.part == 'context' else options.set}"
    )


if __name__ == "__main__":
    main()
