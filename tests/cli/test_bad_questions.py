"""Questions and runs that are not what they should be: an error with file and line, or a counted note."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
GOOD = {"query": "How do I rotate the signing key?", "doc_id": "docs/auth.md"}


def written(folder: Path, *records: object) -> Path:
    path = folder / "questions.jsonl"
    path.write_text("".join((each if isinstance(each, str) else json.dumps(each)) + "\n" for each in records))
    return path


def beir(folder: Path, judged: str, queries: str = '{"_id": "q1", "text": "signing key"}\n') -> Path:
    (folder / "qrels").mkdir(exist_ok=True)
    (folder / "queries.jsonl").write_text(queries)
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    return folder


@pytest.mark.parametrize(
    ("judged", "said"),
    [
        ("q1\tdocs/auth.md\tyes\n", "test.tsv, line 2: the grade 'yes' is not a whole number"),
        ("q1\tdocs/auth.md\t1.5\n", "test.tsv, line 2: the grade '1.5' is not a whole number"),
        ("q1\tdocs/auth.md\n", "test.tsv, line 2: 2 fields"),
        ("q1\ta\t1\nq1\ta\t2\n", "test.tsv, line 3: 'q1' and 'a' have grade 2 here and 1 in line 2"),
        ("", "holds no judgement"),
        ("zz\ta\t1\n", "has none of the judged queries (1)"),
    ],
)
def test_judgements_that_make_numbers_wrong(
    cli: Cli, tiny_kb: Path, tmp_path: Path, judged: str, said: str
) -> None:
    outcome = cli("evaluate", beir(tmp_path, judged), "--at", tiny_kb)
    assert (outcome.status, said in outcome.err) == (2, True), outcome.err
    assert outcome.out == ""


def test_what_the_field_is_lenient_about_is_counted(cli: Cli, tiny_kb: Path, tmp_path: Path) -> None:
    queries = (
        '{"_id": "q1", "text": "signing key"}\n{"_id": "q1", "text": "signing key"}\n'
        '{"_id": "q2", "text": "  "}\n{"_id": "q3", "text": "E4012"}\n'
        f'{{"_id": "q4", "text": "{"k " * 20_000}"}}\n{{"_id": "q5", "text": "a \\u0000 b"}}\n'
    )
    judged = (
        "".join(f"q{at}\tdocs/auth.md\t1\n" for at in range(1, 7))
        + "q3\tno/such.md\t2\nq1\tdocs/auth.md\t1\n"
    )
    facts = json.loads(cli("evaluate", beir(tmp_path, judged, queries), "--at", tiny_kb, "--json").out)
    assert facts["queries"] == 2
    assert facts["notes"] == [
        "1 judgement repeats an earlier line",
        "1 judged query has no text in queries.jsonl and is left out",
        "1 judged query has an empty text and is left out",
        "1 line of queries.jsonl repeats another",
        "1 query cannot be asked (E_TOO_LONG, first: 'q4') and is left out",
        "1 query cannot be asked (E_ENCODING, first: 'q5') and is left out",
        "1 judgement names a document that is not in the index (first: 'no/such.md')",
    ]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("nonsense", "line 2: not valid JSON"),
        ("[1]", "line 2: not a JSON object"),
        ({"query": 5, "doc_id": "a"}, "line 2: no question"),
        ({"query": "x", "doc_id": ""}, "line 2: no document"),
        ({"query": "x", "doc_ids": {"a": "1"}}, "line 2: a grade is not a whole number"),
        ({"_id": "q1", "query": "x", "doc_id": "a"}, "line 2: the query id 'q1' was used before"),
    ],
)
def test_lines_that_are_no_question(cli: Cli, tiny_kb: Path, tmp_path: Path, bad: object, said: str) -> None:
    outcome = cli("evaluate", written(tmp_path, GOOD, bad), "--at", tiny_kb)
    assert (outcome.status, said in outcome.err) == (2, True), outcome.err


def test_questions_that_cannot_be_asked_are_counted(cli: Cli, tiny_kb: Path, tmp_path: Path) -> None:
    bad = [{**GOOD, "query": text} for text in ("", "k " * 20_000, "a\x00b")]
    facts = json.loads(cli("evaluate", written(tmp_path, GOOD, *bad), "--at", tiny_kb, "--json").out)
    assert facts["queries"] == 1
    assert len(facts["notes"]) == 3
    outcome = cli("evaluate", written(tmp_path, *bad), "--at", tiny_kb)
    assert (outcome.status, "no query can be asked" in outcome.err) == (2, True)


@pytest.mark.parametrize(
    ("flags", "status", "said"),
    [
        (("--measure", "nDGC@10"), 2, "did you mean nDCG@10"),
        (("--measure", "R"), 2, "needs a cutoff"),
        (("--require", "bm25:R@100>0.5"), 2, "no leg 'bm25'"),
        (("--require", "R@100>0,5"), 2, "is not a requirement"),
        (("--report", "."), 2, "is a folder"),
        (("--run", "no/such/folder/run"), 4, "no folder"),
    ],
)
def test_flags(
    cli: Cli, tiny_kb: Path, tmp_path: Path, flags: tuple[str, str], status: int, said: str
) -> None:
    outcome = cli("evaluate", written(tmp_path, GOOD), "--at", tiny_kb, *flags)
    assert (outcome.status, said in outcome.err) == (status, True), outcome.err


def test_runs_go_out_and_come_in(cli: Cli, tiny_kb: Path, corpus: Path, tmp_path: Path) -> None:
    run, worse, qrels = tmp_path / "a.run", tmp_path / "b.run", corpus / "questions/qrels/test.tsv"
    facts = json.loads(
        cli("evaluate", corpus / "questions", "--at", tiny_kb, "--run", run, "--json", "--measure", "AP").out
    )
    lines = run.read_text().splitlines()
    worse.write_text("\n".join(each for each in lines if each.startswith("q1 ")) + "\nzz Q0 a 1 1.0 t\n")
    outcome = cli("compare", run, worse, "--qrels", qrels, "--measure", "AP", "--json")
    assert json.loads(outcome.out)["measures"]["AP"]["a"] == pytest.approx(facts["legs"]["search"]["AP"])
    assert "judged queries have no ranking and count as failures" in outcome.err
    assert "1 query has no judgement and is left out" in outcome.err
    for line, said in (
        ("q1 Q0 docs/auth.md 1 high tag", "line 1: the score 'high' is not a finite number"),
        ("q1 Q0 docs/auth.md 1 tag", "line 1: 5 fields"),
        ("q1 Q0 a 1 2.0 t\nq1 Q0 a 2 1.0 t", "line 2: 'a' is ranked twice for query 'q1'"),
    ):
        worse.write_text(line + "\n")
        outcome = cli("compare", run, worse, "--qrels", qrels)
        assert (outcome.status, said in outcome.err) == (2, True), outcome.err
    assert cli("compare", run, worse, "--measure", "AP").status == 2
