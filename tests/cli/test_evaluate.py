"""What `fingerpost evaluate` promises to programs: one JSON object, gates, misses, generated questions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

Cli = Callable[..., Any]
LEGS = {"lexical", "dense", "hybrid", "search"}
MEASURES = {"nDCG@10", "R@100", "Hits@1", "MRR@10", "AP", "failure@20"}


@pytest.fixture
def taught(corpus: Path, tmp_path: Path) -> Path:
    """The questions, with a training split that names one of their documents and one that does not exist."""
    folder = tmp_path / "taught"
    (folder / "qrels").mkdir(parents=True)
    (folder / "queries.jsonl").write_text((corpus / "questions/queries.jsonl").read_text())
    judged = (corpus / "questions/qrels/test.tsv").read_text()
    (folder / "qrels/test.tsv").write_text(judged + "q6\tno/such.md\t1\n")
    (folder / "qrels/train.tsv").write_text("query-id\tcorpus-id\tscore\nt1\tdocs/auth.md\t1\n")
    return folder


def test_the_json_is_one_object_with_seen_and_unseen_apart(cli: Cli, tiny_kb: Path, taught: Path) -> None:
    outcome = cli("evaluate", taught, "--at", tiny_kb, "--split", "test", "--json")
    assert outcome.status == 0, outcome.err
    assert len(outcome.out.splitlines()) == 1
    facts = json.loads(outcome.out)
    assert (facts["queries"], facts["seen"]["queries"], facts["unseen"]["queries"]) == (6, 2, 4)
    for part in (facts, facts["seen"], facts["unseen"]):
        assert set(part["legs"]) == LEGS
        for values in part["legs"].values():
            assert set(values) == MEASURES
            assert all(isinstance(value, float) and 0 <= value <= 1 for value in values.values())
    mean = (2 * facts["seen"]["legs"]["search"]["AP"] + 4 * facts["unseen"]["legs"]["search"]["AP"]) / 6
    assert facts["legs"]["search"]["AP"] == pytest.approx(mean)
    assert "misses" not in facts


def test_every_miss_is_listed_once_with_one_cause(cli: Cli, tiny_kb: Path, taught: Path) -> None:
    facts = json.loads(cli("evaluate", taught, "--at", tiny_kb, "--misses", "-k", 1, "--json").out)
    assert facts["queries"] == 6
    lost = {(miss["query_id"], miss["doc_id"]) for miss in facts["misses"]}
    assert len(lost) == len(facts["misses"]) >= 2  # q1 has two documents, of which one can be first
    assert all({"query_id", "doc_id", "cause", "evidence"} <= miss.keys() for miss in facts["misses"])
    (gone,) = (miss for miss in facts["misses"] if miss["doc_id"] == "no/such.md")
    assert (gone["query_id"], gone["cause"]) == ("q6", "corpus")
    assert gone["evidence"]
    assert sum(facts["table"].values()) == len(facts["misses"])
    assert facts["table"].keys() == facts["cures"].keys()


def test_no_miss_is_an_empty_list(cli: Cli, tiny_kb: Path, corpus: Path) -> None:
    facts = json.loads(cli("evaluate", corpus / "questions", "--at", tiny_kb, "--misses", "--json").out)
    assert facts["misses"] == []


def test_misses_as_lines_end_with_their_cures(cli: Cli, tiny_kb: Path, taught: Path) -> None:
    lines = cli("evaluate", taught, "--at", tiny_kb, "--misses").out.splitlines()
    assert "q6  no/such.md  corpus: no document of this id in the index" in lines
    assert any(line.startswith("1 × corpus: add the document") for line in lines)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_gate_that_is_not_met_ends_with_5_and_still_prints(
    cli: Cli, tiny_kb: Path, taught: Path, as_json: bool
) -> None:
    flags = ["--json"] if as_json else []
    outcome = cli("evaluate", taught, "--at", tiny_kb, "--require", "R@100>=0.99", *flags)
    assert outcome.status == 5
    assert "E_GATE" in outcome.err
    assert "R@100" in outcome.out
    assert not as_json or json.loads(outcome.out)["queries"] == 6
    assert cli("evaluate", taught, "--at", tiny_kb, "--require", "R@100>=0.9", *flags).status == 0


def test_generated_questions_need_no_folder_and_say_so(cli: Cli, tiny_kb: Path) -> None:
    outcome = cli("evaluate", "--generate", 7, "--at", tiny_kb, "--json")
    assert outcome.status == 0, outcome.err
    facts = json.loads(outcome.out)
    assert facts["generated"] is True
    assert facts["split"] == "generated"
    assert facts["queries"] == 7
    assert facts["legs"]["search"]["R@100"] == 1.0
    assert facts["unseen"]["queries"] == 7
    assert "generated" in facts["notes"][0]
    assert cli("evaluate", "--generate", 7, "--at", tiny_kb, "--json").out == outcome.out
    assert "7 generated queries" in cli("evaluate", "--generate", 7, "--at", tiny_kb).out


def test_generated_questions_are_not_mixed_with_real_ones(cli: Cli, tiny_kb: Path, corpus: Path) -> None:
    assert "not mixed" in cli("evaluate", corpus / "questions", "--generate", 7, "--at", tiny_kb).err
    assert cli("evaluate", corpus / "questions", "--generate", 7, "--at", tiny_kb).status == 2
    assert cli("evaluate", "--at", tiny_kb).status == 2
    assert cli("evaluate", "--generate", -3, "--at", tiny_kb).status == 2


def test_the_report_is_one_file_with_the_figures(
    cli: Cli, tiny_kb: Path, taught: Path, tmp_path: Path
) -> None:
    path = tmp_path / "quality.html"
    outcome = cli("evaluate", taught, "--at", tiny_kb, "--report", path, "--json")
    assert outcome.status == 0, outcome.err
    facts = json.loads(outcome.out)
    assert "misses" not in facts
    root = ElementTree.fromstring(path.read_text(encoding="utf-8").removeprefix("<!DOCTYPE html>\n"))
    told = " ".join("".join(root.itertext()).split())
    for leg in LEGS:
        assert f"{facts['legs'][leg]['nDCG@10']:.4f}" in told
    for stage in ("encode", "route", "retrieve", "rerank", "spans"):
        assert stage in told
    assert "Medians of 6 queries" in told
    assert "no/such.md: no document of this id" in told


def test_a_report_that_cannot_be_written_is_named(
    cli: Cli, tiny_kb: Path, corpus: Path, tmp_path: Path
) -> None:
    outcome = cli(
        "evaluate", corpus / "questions", "--at", tiny_kb, "--report", tmp_path / "no" / "such" / "r.html"
    )
    assert outcome.status == 4
    assert "no/such/r.html" in outcome.err


def test_answers_are_checked_and_their_misses_named(cli: Cli, tiny_kb: Path, corpus: Path) -> None:
    shared = ("evaluate", corpus / "questions", "--at", tiny_kb, "--answers", 100)
    facts = json.loads(cli(*shared, "--misses", "--json").out)
    assert facts["answers"]["shares"]["verbatim"] == facts["answers"]["shares"]["moved"] == 1.0
    assert facts["answers"]["counts"]["answers"] == facts["queries"]
    assert {miss["cause"] for miss in facts["misses"]} <= {"grounding"}  # nothing else is missed here
    assert "of the answers change when the evidence they cite is taken away" in cli(*shared).out
    assert cli("evaluate", corpus / "questions", "--at", tiny_kb, "--answers", -1).status == 2


def test_queries_and_trec_judgements_in_files_of_their_own(
    cli: Cli, tiny_kb: Path, corpus: Path, tmp_path: Path
) -> None:
    whole = json.loads(cli("evaluate", corpus / "questions", "--at", tiny_kb, "--json").out)
    topics, judged = tmp_path / "topics.tsv", tmp_path / "robust.qrels"
    records = map(json.loads, (corpus / "questions/queries.jsonl").read_text().splitlines())
    topics.write_text("".join(f"{each['_id']}\t{each['text']}\n" for each in records))
    rows = [line.split("\t") for line in (corpus / "questions/qrels/test.tsv").read_text().splitlines()[1:]]
    judged.write_text("".join(f"{query} 0 {doc} {grade}\n" for query, doc, grade in rows))
    for queries in (topics, corpus / "questions", corpus / "questions/queries.jsonl"):
        outcome = cli("evaluate", queries, "--qrels", judged, "--at", tiny_kb, "--json")
        assert outcome.status == 0, outcome.err
        facts = json.loads(outcome.out)
        assert (facts["split"], facts["legs"]) == ("robust", whole["legs"])
    topics.write_text("q1 no tab\n")
    outcome = cli("evaluate", topics, "--qrels", judged, "--at", tiny_kb)
    assert (outcome.status, "topics.tsv, line 1: no tab" in outcome.err) == (2, True)
    judged.write_text("q1 0 docs/auth.md high\n")
    outcome = cli("evaluate", corpus / "questions", "--qrels", judged, "--at", tiny_kb)
    assert (outcome.status, "line 1: the grade 'high'" in outcome.err) == (2, True)
    assert cli("evaluate", "--qrels", judged, "--at", tiny_kb).status == 2


def test_a_run_is_measured_without_an_index(cli: Cli, tiny_kb: Path, corpus: Path, tmp_path: Path) -> None:
    run, qrels = tmp_path / "kb.run", corpus / "questions/qrels/test.tsv"
    own = json.loads(cli("evaluate", corpus / "questions", "--at", tiny_kb, "--run", run, "--json").out)
    alone = ("evaluate", run, "--qrels", qrels, "--at", tmp_path / "none")
    facts = json.loads(cli(*alone, "--json").out)
    assert facts["legs"] == {"search": own["legs"]["search"]}
    assert facts["queries"] == 6
    assert cli(*alone, "--require", "R@100>=0.9").status == 0
    run.write_text("q1 Q0 docs/auth.md 1 2.5 x\n")
    outcome = cli(*alone, "--require", "R@100>=0.9", "--json")
    assert outcome.status == 5
    assert json.loads(outcome.out)["notes"] == ["5 judged queries have no ranking and count as failures"]
    assert cli(*alone, "--misses").status == 2
    run.write_text("q1 Q0 docs/auth.md 1 2.5 x\nq2 Q0 docs/auth.md 1 nan x\n")
    outcome = cli(*alone)
    assert (outcome.status, "line 2: the score 'nan'" in outcome.err) == (2, True)


def test_kept_questions_give_the_same_values_and_stay_marked(
    cli: Cli, tiny_kb: Path, corpus: Path, tmp_path: Path
) -> None:
    made, real = tmp_path / "made", tmp_path / "real"
    first = json.loads(cli("evaluate", "--generate", 7, "--at", tiny_kb, "--save", made, "--json").out)
    again = json.loads(cli("evaluate", made, "--split", "generated", "--at", tiny_kb, "--json").out)
    assert again["generated"] is True
    assert again["legs"] == first["legs"]
    cli("evaluate", corpus / "questions", "--at", tiny_kb, "--save", real)
    assert json.loads(cli("evaluate", real, "--at", tiny_kb, "--json").out)["generated"] is False
    judged = (real / "qrels/test.trec").read_text().splitlines()
    assert "q1 0 docs/auth.md 1" in judged
    assert cli("evaluate", corpus / "questions", "--at", tiny_kb, "--save", real).status == 2
    queries = (made / "queries.jsonl").read_text() + '{"_id": "q1", "text": "a real one"}\n'
    (made / "queries.jsonl").write_text(queries)
    with (made / "qrels/generated.tsv").open("a") as out:
        out.write("q1\tdocs/auth.md\t1\n")
    outcome = cli("evaluate", made, "--split", "generated", "--at", tiny_kb)
    assert (outcome.status, "queries.jsonl, line 8: queries of the origins" in outcome.err) == (2, True)


def test_an_index_without_a_model_has_no_dense_leg(cli: Cli, corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('[models]\nencoder = "none"\n')
    config = ("--config", tmp_path / "own.toml")
    assert cli("compile", corpus / "docs", "--to", tmp_path / "kb", *config).status == 0
    facts = json.loads(cli("evaluate", corpus / "questions", "--at", tmp_path / "kb", "--json", *config).out)
    assert set(facts["legs"]) == set(facts["unseen"]["legs"]) == LEGS - {"dense"}
