"""Keep questions: a BEIR folder that any tool reads, with the same judgements in TREC's columns."""

from __future__ import annotations

import json
from pathlib import Path

from fingerpost.errors import UsageError
from fingerpost.evaluate.datasets import QuestionSet
from fingerpost.evaluate.trec import write_qrels
from fingerpost.text.counts import counted


def save(questions: QuestionSet, folder: Path) -> tuple[str, ...]:
    """Write ``queries.jsonl``, ``qrels/<split>.tsv`` and ``qrels/<split>.trec``; returns notes on what these
    forms cannot hold. Made and logged questions carry their origin, so that they stay marked when read again.

    Raises UsageError E_USAGE where the folder holds something already, E_ID for an id with a tab or line end.
    """
    refuse(folder)
    judged = [(q, d, grade) for q, row in questions.qrels.items() for d, grade in row.items()]
    _one_field(judged)
    (folder / "qrels").mkdir(parents=True)
    origin = "generated" if questions.generated else "log" if questions.logged else ""
    mark = {"origin": origin} if origin else {}
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as out:
        for query_id, text in questions.queries.items():
            out.write(json.dumps({"_id": query_id, "text": text, **mark}) + "\n")
    with (folder / "qrels" / f"{questions.split}.tsv").open("w", encoding="utf-8") as out:
        out.write("query-id\tcorpus-id\tscore\n")
        out.writelines(f"{query_id}\t{doc_id}\t{grade}\n" for query_id, doc_id, grade in judged)
    return (*_trec(questions, folder / "qrels" / f"{questions.split}.trec"), *_passages(questions))


def refuse(folder: Path) -> None:
    """Raise UsageError E_USAGE where the folder holds something already."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        cure = "name a new folder, so that no questions are lost"
        raise UsageError("E_USAGE", f"{folder} is there already", cure=cure)


def _one_field(judged: list[tuple[str, str, int]]) -> None:
    for name in (each for query_id, doc_id, _ in judged for each in (query_id, doc_id)):
        if not {"\t", "\n", "\r"}.isdisjoint(name) or name != name.strip():
            message = f"the id {name[:80]!r} holds a tab, a line end or white space at an end"
            cure = "use --json for these questions"
            raise UsageError("E_ID", message, cure=cure, detail=name[:200])


def _trec(questions: QuestionSet, path: Path) -> tuple[str, ...]:
    """TREC's columns cannot hold ids with spaces, such as those of many paths: then there is no such file."""
    try:
        with path.open("w", encoding="utf-8") as out:
            write_qrels(out, questions.qrels)
    except UsageError as error:
        path.unlink()
        return (f"no TREC judgements: {error.message}",)
    return ()


def _passages(questions: QuestionSet) -> tuple[str, ...]:
    if not questions.passages:
        return ()
    count = counted(len(questions.passages), "question")
    return (f"the wanted passages of {count} have no place in a BEIR folder",)
