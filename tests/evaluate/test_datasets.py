from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from fingerpost.errors import InputError, UsageError
from fingerpost.evaluate import trec
from fingerpost.evaluate.datasets import load_beir, load_questions, read_qrels, seen_queries

QUERIES = [{"_id": "1", "text": "one"}, {"_id": "2", "text": "two"}, {"_id": "3", "text": "three"}]


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    (tmp_path / "qrels").mkdir()
    write(tmp_path / "queries.jsonl", QUERIES)
    write(tmp_path / "corpus.jsonl", [{"_id": f"d{n}", "title": "", "text": "x"} for n in range(4)])
    (tmp_path / "qrels/train.tsv").write_text("query-id\tcorpus-id\tscore\n3\td1\t1\n3\td0\t0\n")
    (tmp_path / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n1\td1\t2\n1\td0\t0\n2\td2\t1\n")
    return tmp_path


def write(path: Path, records: list[object]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def test_a_beir_folder_gives_questions_judgements_and_what_was_trained(beir: Path) -> None:
    loaded = load_beir(beir)
    assert loaded.queries == {"1": "one", "2": "two"}
    assert loaded.qrels == {"1": {"d1": 2, "d0": 0}, "2": {"d2": 1}}
    assert loaded.trained == {"d1"}
    assert seen_queries(loaded) == {"1"}
    assert loaded.notes == ()


def test_the_training_split_itself_trains_nothing(beir: Path) -> None:
    assert load_beir(beir, "train").trained is None


def test_without_a_header_the_first_judgement_counts(beir: Path) -> None:
    (beir / "qrels/test.tsv").write_text("1\td1\t1\r\n\r\n2\td2\t1\r\n")
    assert load_beir(beir).qrels == {"1": {"d1": 1}, "2": {"d2": 1}}


def test_ids_with_blanks_survive_in_tab_separated_files(beir: Path) -> None:
    (beir / "qrels/test.tsv").write_text("1\tmy notes/a b.md\t1\n")
    assert load_beir(beir, known=frozenset({"my notes/a b.md"})).qrels["1"] == {"my notes/a b.md": 1}


def test_trec_judgements_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "qrels.txt"
    path.write_text("1 0 d1 -1\n1 0 d2 3\n")
    assert read_qrels(path) == ({"1": {"d1": -1, "d2": 3}}, 0)


@pytest.mark.parametrize(
    ("lines", "where", "what"),
    [
        ("1\td1\thigh\n", "line 1", "'high' is not a whole number"),
        ("1\td1\t1\n\n1\td2\t0.5\n", "line 3", "'0.5'"),
        ("1\td1\t" + "9" * 5_000 + "\n", "line 1", "not a whole number"),
        ("1\td1\t1\n1\td1\t2\n", "line 2", "1 in line 1"),
        ("1\td1\n", "line 1", "2 fields"),
        ("1\t\t1\n", "line 1", "3 fields"),
        ("", "holds no judgement", ""),
    ],
)
def test_bad_judgements_name_file_and_line(beir: Path, lines: str, where: str, what: str) -> None:
    (beir / "qrels/test.tsv").write_text(lines)
    with pytest.raises(InputError) as caught:
        load_beir(beir)
    assert caught.value.code == "E_QRELS"
    assert where in str(caught.value)
    assert what in str(caught.value)
    assert len(str(caught.value)) < 600


def test_bytes_that_are_not_text_name_the_line(beir: Path) -> None:
    (beir / "qrels/test.tsv").write_bytes(b"1\td1\t1\n\xff\xfe\t1\t1\n")
    with pytest.raises(InputError, match="line 2: not UTF-8"):
        load_beir(beir)


def test_lenient_cases_are_counted_and_said(beir: Path) -> None:
    write(beir / "queries.jsonl", [*QUERIES[:2], {"_id": "4", "text": " "}, {"_id": "2", "text": "two"}])
    (beir / "qrels/test.tsv").write_text("1\td1\t1\n1\td1\t1\n2\tnowhere\t1\n4\td1\t1\n5\td1\t1\n")
    notes = "\n".join(load_beir(beir).notes)
    assert "1 judgement repeats an earlier line" in notes
    assert "1 judgement names a document that does not exist (first: 'nowhere')" in notes
    assert "1 judged query has no text" in notes
    assert "1 judged query has an empty text" in notes


def test_one_query_id_with_two_texts_is_an_error(beir: Path) -> None:
    write(beir / "queries.jsonl", [*QUERIES, {"_id": "1", "text": "other"}])
    with pytest.raises(InputError, match=r"line 4.*another text in line 1"):
        load_beir(beir)


def test_a_missing_split_names_those_there_are(beir: Path) -> None:
    with pytest.raises(InputError, match="no folder of questions"):
        load_beir(beir / "qrels")
    with pytest.raises(InputError, match=r"it has: test, train"):
        load_beir(beir, "dev")


def test_query_ids_that_match_nothing_are_an_error(beir: Path) -> None:
    (beir / "qrels/test.tsv").write_text("x1\td1\t1\n")
    with pytest.raises(InputError, match=r"none of the judged queries \(1\)"):
        load_beir(beir)


def test_questions_come_from_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    write(
        path,
        [
            {"query": "a", "doc_id": "x"},
            {"text": "b", "doc_ids": ["x", "y"], "query_id": "Q"},
            {"query": "c", "doc_ids": {"x": 2}},
            {"query": "", "doc_id": "x"},
        ],
    )
    loaded = load_questions(path, known=frozenset({"x"}))
    assert loaded.qrels == {"q1": {"x": 1}, "Q": {"x": 1, "y": 1}, "q3": {"x": 2}}
    assert len(loaded.notes) == 2


@pytest.mark.parametrize(
    "line",
    [
        '{"query": "a"}',
        '{"doc_id": "x"}',
        "[1]",
        "{",
        '{"query": "a", "doc_ids": {"x": "high"}}',
        "[" * 100_000,
    ],
)
def test_bad_question_lines_name_the_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"query": "fine", "doc_id": "x"}\n' + line + "\n")
    with pytest.raises(InputError, match="line 2") as caught:
        load_questions(path)
    assert caught.value.code == "E_QRELS"


def test_a_run_written_is_the_run_read(tmp_path: Path) -> None:
    run = {"a": 0.1, "b": 1e-9, "c": 3.0}
    path = tmp_path / "run.txt"
    with path.open("w") as out:
        trec.write_run(out, "q1", run)
    assert trec.read_run(path) == {"q1": run}


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("q Q0 d 1 tag", "5 fields"),
        ("q Q0 d 1 high tag", "'high'"),
        ("q Q0 d 1 nan tag", "'nan'"),
        ("q Q0 first 1 0.5 tag", "ranked twice"),
    ],
)
def test_bad_run_lines_name_the_line(tmp_path: Path, line: str, what: str) -> None:
    path = tmp_path / "run.txt"
    path.write_text(f"q Q0 first 1 1.0 tag\n{line}\n")
    with pytest.raises(InputError, match="line 2") as caught:
        trec.read_run(path)
    assert what in str(caught.value)


def test_ids_that_trec_files_cannot_carry_are_refused() -> None:
    with pytest.raises(UsageError, match="white space"):
        trec.write_run(io.StringIO(), "q", {"a b": 1.0})


def test_the_shared_sets_load_whole(shared_data: Path) -> None:
    loaded = load_beir(shared_data / "scifact")
    assert (len(loaded.queries), len(seen_queries(loaded)), loaded.notes) == (300, 196, ())
