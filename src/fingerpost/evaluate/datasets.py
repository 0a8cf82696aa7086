"""Question sets: BEIR folders and JSON Lines, read line by line, checked, with what was left out counted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fingerpost.errors import InputError, NotFoundError, UsageError
from fingerpost.text.counts import counted, noted
from fingerpost.text.query import parse

MAX_LINE_CHARS = 64_000_000
MAX_GRADE = 1_000_000

Qrels = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """Questions with judgements: ``qrels[query_id][doc_id]`` is a grade, relevant when ≥ 1.

    ``trained`` holds the documents relevant to a training query, None where no training split is known;
    ``passages[query_id][doc_id]`` is the text wanted of a document where the judgements name one;
    ``own[query_id]`` is the document that is the question itself and not judged for it (as in ArguAna and
    Quora): no result of that question. ``generated`` marks questions made from the corpus, ``logged``
    recorded queries and clicks; ``notes`` count what was left out.
    """

    name: str
    split: str
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]]
    trained: frozenset[str] | None = None
    passages: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)
    generated: bool = False
    logged: bool = False
    notes: tuple[str, ...] = ()


def load(source: Path, split: str) -> QuestionSet:
    """A BEIR folder's split, or a JSON Lines file. Raises NotFoundError where there is neither."""
    if not source.exists():
        raise NotFoundError(
            "E_NOT_FOUND", f"{source} does not exist", cure="name a BEIR folder or a JSON Lines file"
        )
    return load_beir(source, split) if source.is_dir() else load_questions(source)


def load_beir(folder: Path, split: str = "test", *, known: frozenset[str] | None = None) -> QuestionSet:
    """The questions of ``folder/qrels/<split>.tsv`` with their text from ``queries.jsonl``.

    ``known`` are the document ids that exist; without it those of ``corpus.jsonl`` count, where there is one.
    Raises InputError E_QRELS with file and line number; judgements that name unknown ids are counted in
    ``notes``.
    """
    path = folder / "qrels" / f"{split}.tsv"
    if not path.is_file():
        have = ", ".join(sorted(each.stem for each in folder.glob("qrels/*.tsv")))
        message, cure = f"{folder} has no split '{split}' (it has: {have})", "name one that it has"
        if not have:
            message = f"{folder} is no folder of questions: it holds no judgements"
            cure = "name a BEIR folder (queries.jsonl and qrels/<split>.tsv), or a JSON Lines file"
        raise InputError("E_QRELS", message, cure=cure, detail=str(path))
    qrels, repeated = read_qrels(path)
    found = _judged(folder / "queries.jsonl", qrels, repeated)
    present = known if known is not None else _present(folder / "corpus.jsonl", found.qrels)
    notes = found.notes + unknown_documents(found.qrels, present)
    return replace(found, name=folder.name, split=split, trained=_trained(folder, path), notes=notes)


def load_judged(queries: Path, judgements: Path) -> QuestionSet:
    """Queries and their judgements from two files: queries as a BEIR folder, JSON Lines (``_id``, ``text``)
    or lines of id, tab and text (.tsv, .txt); judgements in BEIR's three columns or TREC's four.

    Raises InputError E_QRELS with file and line number.
    """
    qrels, repeated = read_qrels(judgements)
    path = queries / "queries.jsonl" if queries.is_dir() else queries
    trained = _trained(queries, judgements) if queries.is_dir() else None
    found = _judged(path, qrels, repeated)
    name = queries.name if queries.is_dir() else queries.stem
    return replace(found, name=name, split=judgements.stem, trained=trained)


def _judged(path: Path, qrels: Qrels, repeated: int) -> QuestionSet:
    """The judged queries of a file, without a name yet."""
    queries, notes, origin = _texts(path, set(qrels))
    kept = {query_id: qrels[query_id] for query_id in queries}
    notes = (*repetitions(repeated), *notes)
    made, logged = origin == "generated", origin == "log"
    return QuestionSet("", "", queries, kept, generated=made, logged=logged, notes=notes)


def read_qrels(path: Path) -> tuple[Qrels, int]:
    """Judgements from a BEIR (query-id, corpus-id, score) or TREC (query 0 document grade) file, and how
    many lines repeat an earlier one with the same grade. Raises InputError E_QRELS with the line number."""
    qrels: Qrels = {}
    first_seen: dict[tuple[str, str], int] = {}
    repeated = 0
    for number, line in lines(path):
        if number == 1 and line.lower().split()[:1] in (["query-id"], ["query_id"]):
            continue
        query_id, doc_id, grade = _judgement(line, path, number)
        row = qrels.setdefault(query_id, {})
        if row.setdefault(doc_id, grade) != grade:
            was = first_seen[query_id, doc_id]
            message = f"'{query_id}' and '{doc_id}' have grade {grade} here and {row[doc_id]} in line {was}"
            raise _bad(path, number, message, "keep one of the two lines")
        repeated += (query_id, doc_id) in first_seen
        first_seen.setdefault((query_id, doc_id), number)
    if not qrels:
        raise InputError(
            "E_QRELS", f"{path} holds no judgement", cure="add lines: query-id, corpus-id, score"
        )
    return qrels, repeated


def _judgement(line: str, path: Path, number: int) -> tuple[str, str, int]:
    fields = line.split("\t") if line.count("\t") == 2 else line.split()
    if len(fields) == 4:  # TREC: query, iteration, document, grade
        fields = [fields[0], fields[2], fields[3]]
    if len(fields) != 3 or not all(field.strip() for field in fields):
        message = f"{counted(len(fields), 'field')} where query-id, corpus-id and score should stand"
        raise _bad(path, number, message, "separate three fields by tabs, or use TREC's four")
    query_id, doc_id, grade = (field.strip() for field in fields)
    digits = grade[1:] if grade[:1] in "+-" else grade
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 7) or abs(int(grade)) > MAX_GRADE:
        cure = "write grades as whole numbers, 0 = not relevant"
        raise _bad(path, number, f"the grade '{grade[:40]}' is not a whole number", cure)
    return query_id, doc_id, int(grade)


def load_questions(path: Path, *, known: frozenset[str] | None = None) -> QuestionSet:
    """Questions from JSON Lines: ``{"query" | "text": …, "doc_id": … | "doc_ids": [..] | {id: grade}}``.

    ``query_id`` (or ``_id``) may name a question; otherwise it is ``q<line>``. ``passage`` may quote the text
    wanted of each document. Raises InputError E_QRELS
    with the line number; a repeated question text is counted, not merged.
    """
    queries: dict[str, str] = {}
    qrels: Qrels = {}
    passages: dict[str, dict[str, str]] = {}
    empty = 0
    for number, record in _records(path):
        query_id = str(record.get("query_id", record.get("_id", f"q{number}")))
        if query_id in queries:
            raise _bad(
                path, number, f"the query id '{query_id[:80]}' was used before", "give each its own id"
            )
        text = record.get("query", record.get("text"))
        if not isinstance(text, str):
            raise _bad(path, number, "no question", 'give it as "query" or "text"')
        grades = _grades(record, path, number)
        if text.strip():
            queries[query_id], qrels[query_id] = text, grades
            if passage := _passage(record, path, number):
                passages[query_id] = dict.fromkeys(grades, passage)
        empty += not text.strip()
    if not queries:
        raise InputError("E_QRELS", f"{path} holds no question", cure='add lines {"query": …, "doc_id": …}')
    queries, refused = _askable(queries, path)
    qrels = {query_id: qrels[query_id] for query_id in queries}
    twins = len(queries) - len(set(queries.values()))
    notes = (
        *refused,
        *noted(empty, "question without text left out", "questions without text left out"),
        *noted(twins, "question repeats another's text", "questions repeat another's text"),
    )
    notes = (*notes, *(unknown_documents(qrels, known) if known else ()))
    return QuestionSet(path.stem, "all", queries, qrels, passages=passages, notes=notes)


def _passage(record: Mapping[str, object], path: Path, number: int) -> str:
    given = record.get("passage", "")
    if not isinstance(given, str):
        raise _bad(
            path, number, "the passage is no text", "quote the wanted text as it stands, or leave it out"
        )
    return given


def _grades(record: Mapping[str, object], path: Path, number: int) -> dict[str, int]:
    given = record.get("doc_ids", record.get("doc_id"))
    if isinstance(given, str) and given:
        return {given: 1}
    if isinstance(given, list) and given and all(isinstance(each, str) and each for each in given):
        return dict.fromkeys(given, 1)
    if isinstance(given, dict) and given:
        if all(type(grade) is int and abs(grade) <= MAX_GRADE for grade in given.values()):
            return dict(given)
        raise _bad(path, number, "a grade is not a whole number", "write grades as whole numbers")
    raise _bad(path, number, "no document", 'give "doc_id": "…", or "doc_ids" as a list or {id: grade}')


def repetitions(count: int) -> tuple[str, ...]:
    """A note that counts judgements whose query and document an earlier line has."""
    return noted(count, "judgement repeats an earlier line", "judgements repeat an earlier line")


def unknown_documents(
    qrels: Mapping[str, Mapping[str, int]], known: frozenset[str] | None
) -> tuple[str, ...]:
    """A note that counts judgements naming documents that do not exist.

    >>> unknown_documents({"q": {"a": 1, "zz": 1}}, frozenset({"a"}))
    ("1 judgement names a document that does not exist (first: 'zz') and counts as a miss",)
    """
    if known is None:
        return ()
    missing = [doc_id for row in qrels.values() for doc_id in row if doc_id not in known]
    first = repr(missing[0]) if missing else ""
    return noted(
        len(missing),
        f"judgement names a document that does not exist (first: {first}) and counts as a miss",
        f"judgements name documents that do not exist (first: {first}) and count as misses",
    )


def seen_queries(questions: QuestionSet) -> frozenset[str]:
    """The queries of which at least one relevant document is relevant to a training query too.

    >>> judged = {"1": {"a": 1}, "2": {"b": 1}}
    >>> sorted(seen_queries(QuestionSet("s", "test", {"1": "x", "2": "y"}, judged, frozenset({"a"}))))
    ['1']
    """
    trained = questions.trained or frozenset()
    rows = questions.qrels.items()
    return frozenset(q for q, row in rows if any(grade > 0 and d in trained for d, grade in row.items()))


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file that are not blank, numbered from 1. Raises InputError with the line
    number.
    """
    number = 0
    try:
        with path.open("rb") as file:
            while raw := file.readline(MAX_LINE_CHARS):
                number += 1
                if len(raw) == MAX_LINE_CHARS:
                    raise _bad(path, number, f"longer than {MAX_LINE_CHARS:,} bytes", "one record a line")
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                if line.strip():
                    yield number, line
    except UnicodeDecodeError as error:
        raise _bad(path, number, "not UTF-8 text", "save the file as UTF-8") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError("E_UNREADABLE", f"{path}: {reason}", cure="name a file that can be read") from error


def _records(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    for number, line in lines(path):
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _bad(path, number, "not valid JSON", "write one JSON object a line") from error
        if not isinstance(record, dict):
            raise _bad(path, number, "not a JSON object", "write one JSON object a line")
        yield number, record


def _topics(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """Queries as records, from lines of id, tab and text or from JSON Lines."""
    if path.suffix.lower() not in (".tsv", ".txt"):
        yield from _records(path)
        return
    for number, line in lines(path):
        query_id, tab, text = line.partition("\t")
        if not tab:
            raise _bad(path, number, "no tab between query id and text", "write id, tab, text")
        yield number, {"_id": query_id.strip(), "text": text}


def _texts(path: Path, wanted: set[str]) -> tuple[dict[str, str], tuple[str, ...], object]:
    """The texts of the wanted queries, in the file's order, notes on what was left out, and their origin."""
    queries: dict[str, str] = {}
    first_seen: dict[str, int] = {}
    origins: list[object] = []
    empty = repeated = 0
    for number, record in _topics(path):
        query_id = str(record.get("_id", record.get("query_id", "")))
        text = record.get("text", record.get("query"))
        if query_id not in wanted:
            continue
        if not isinstance(text, str):
            raise _bad(path, number, f"the query '{query_id[:80]}' has no text", 'give it as "text"')
        if query_id in first_seen and queries.get(query_id, "") != text:
            message = f"the query id '{query_id[:80]}' has another text in line {first_seen[query_id]}"
            raise _bad(path, number, message, "give each query its own id")
        repeated += query_id in first_seen
        empty += query_id not in first_seen and not text.strip()
        first_seen.setdefault(query_id, number)
        origins.append(record.get("origin"))
        if origins[0] != origins[-1]:
            message = f"queries of the origins {origins[0]} and {origins[-1]} in one file"
            raise _bad(path, number, message, "evaluate made, logged and real questions apart")
        if text.strip():
            queries[query_id] = text
    if not queries:
        message = f"{path} has none of the judged queries ({len(wanted):,})"
        raise InputError("E_QRELS", message, cure="check that both files use the same query ids")
    absent = len(wanted - set(first_seen))
    queries, refused = _askable(queries, path)
    notes = (
        *noted(absent, *_left_out(f"no text in {path.name}")),
        *noted(empty, *_left_out("an empty text")),
        *noted(repeated, f"line of {path.name} repeats another", f"lines of {path.name} repeat others"),
        *refused,
    )
    return queries, notes, origins[0]


def _askable(queries: dict[str, str], path: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """The queries that a search takes, and a note for each reason why others are left out."""
    kept: dict[str, str] = {}
    refused: dict[str, list[str]] = {}
    for query_id, text in queries.items():
        try:
            parse(text)
        except UsageError as error:
            refused.setdefault(error.code, []).append(query_id)
        else:
            kept[query_id] = text
    if not kept:
        message = f"{path}: no query can be asked ({', '.join(refused)})"
        raise InputError("E_QRELS", message, cure="ask in valid text of at most 32,768 characters")
    return kept, tuple(_refused(code, ids) for code, ids in refused.items())


def _refused(code: str, ids: list[str]) -> str:
    why = f"cannot be asked ({code}, first: {ids[0]!r})"
    return counted(len(ids), f"query {why} and is left out", f"queries {why} and are left out")


def _trained(folder: Path, path: Path) -> frozenset[str] | None:
    train = folder / "qrels" / "train.tsv"
    if not train.is_file() or train == path:
        return None
    return relevant_documents(read_qrels(train)[0])


def relevant_documents(qrels: Mapping[str, Mapping[str, int]]) -> frozenset[str]:
    """Every document with a grade ≥ 1.

    >>> sorted(relevant_documents({"q": {"a": 1, "b": 0}}))
    ['a']
    """
    return frozenset(d for row in qrels.values() for d, grade in row.items() if grade > 0)


def _present(path: Path, qrels: Mapping[str, Mapping[str, int]]) -> frozenset[str] | None:
    """Those judged ids that the corpus file holds: memory grows with the judgements, not with the corpus."""
    if not path.is_file():
        return None
    wanted = {doc_id for row in qrels.values() for doc_id in row}
    return frozenset(each for _, record in _records(path) if (each := str(record.get("_id", ""))) in wanted)


def _bad(path: Path, number: int, message: str, cure: str) -> InputError:
    return InputError("E_QRELS", f"{path}, line {number}: {message}", cure=cure, detail=f"{path}:{number}")


def _left_out(what: str) -> tuple[str, str]:
    return f"judged query has {what} and is left out", f"judged queries have {what} and are left out"
