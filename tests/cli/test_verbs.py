"""Every verb on a real index: data on stdout, the rest on stderr, exit statuses as documented."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


def test_search(cli: Cli, tiny_kb: Path) -> None:
    outcome = cli("search", "why does login fail with E4012?", "--at", tiny_kb, "-k", "2")
    assert outcome.status == 0
    assert "docs/auth.md:" in outcome.out
    assert "T-101:" in outcome.out
    assert "generation" in outcome.err
    assert "retrieve" in outcome.err
    assert "retrieve" not in outcome.out


def test_search_json_is_an_object_a_span(cli: Cli, tiny_kb: Path, corpus: Path) -> None:
    outcome = cli("search", "rotate the signing key", "--at", tiny_kb, "-k", "3", "--json")
    spans = [json.loads(line) for line in outcome.out.splitlines()]
    assert "rerank" in outcome.err, "what was done is told on stderr here too"
    assert 1 <= len(spans) <= 3
    assert spans[0]["doc_id"] == "docs/auth.md"
    text = (corpus / spans[0]["doc_id"]).read_text()
    assert text[spans[0]["start"] : spans[0]["end"]] == spans[0]["text"]


def test_search_with_filters_and_principals(cli: Cli, tiny_kb: Path) -> None:
    outcome = cli("search", "E4012", "--at", tiny_kb, "--filter", "path:docs/*", "--as", "team-a", "--json")
    assert {json.loads(line)["doc_id"].split("/")[0] for line in outcome.out.splitlines()} == {"docs"}
    assert cli("search", "E4012", "--at", tiny_kb, "--filter", "nonsense").status == 2


def test_ask(cli: Cli, tiny_kb: Path) -> None:
    outcome = cli("ask", "How do I rotate the signing key?", "--at", tiny_kb)
    assert outcome.status == 0
    assert "keys rotate --grace 24h" in outcome.out
    assert "[1] docs/auth.md:" in outcome.out
    answer = json.loads(cli("ask", "How do I rotate the signing key?", "--at", tiny_kb, "--json").out)
    assert answer["refused"] is False
    assert all(statement["citations"] for statement in answer["statements"])


def test_ask_refuses(cli: Cli, tiny_kb: Path) -> None:
    outcome = cli("ask", "Who won the chess championship of 1972?", "--at", tiny_kb)
    assert outcome.status == 0
    assert outcome.out.startswith("no answer: ")


def test_explain_and_route(cli: Cli, tiny_kb: Path) -> None:
    assert "docs/auth.md" in cli("explain", "signing key", "--at", tiny_kb).out
    assert "docs/backup.md" in cli("explain", "signing key", "--at", tiny_kb, "--doc", "docs/backup.md").out
    assert json.loads(cli("explain", "signing key", "--at", tiny_kb, "--json").out)["children"]
    assert cli("explain", "signing key", "--at", tiny_kb, "--doc", "no/such").status == 4
    assert cli("route", "signing key", "--at", tiny_kb).status == 0
    assert "name" in json.loads(cli("route", "signing key", "--at", tiny_kb, "--json").out)


def test_status_and_doctor(cli: Cli, tiny_kb: Path) -> None:
    assert "documents" in cli("status", "--at", tiny_kb).out
    assert json.loads(cli("status", "--at", tiny_kb, "--json").out)["documents"] == 9
    outcome = cli("doctor", "--at", tiny_kb)
    assert (outcome.status, outcome.out) == (0, "")
    assert "agrees" in outcome.err


def test_doctor_names_damage_and_repairs_it(cli: Cli, own_kb: Path) -> None:
    damaged = next(own_kb.glob("gen-*/vectors.i8"))
    damaged.chmod(0o600)
    data = bytearray(damaged.read_bytes())
    data[7] ^= 1
    damaged.write_bytes(bytes(data))
    outcome = cli("doctor", "--at", own_kb)
    assert outcome.status == 1
    assert "vectors.i8" in outcome.out + outcome.err
    assert cli("doctor", "--repair", "--at", own_kb).status == 0
    assert cli("doctor", "--at", own_kb).status == 0
    assert cli("search", "signing key", "--at", own_kb).status == 0


def test_update_and_delete(cli: Cli, own_kb: Path, tmp_path: Path) -> None:
    page = tmp_path / "new.md"
    page.write_text("# Saffron\n\nThe saffron gate opens at dawn.\n")
    report = json.loads(cli("update", page, "--at", own_kb, "--json").out)
    assert report["counts"]["added"] == 1
    found = json.loads(cli("search", "saffron gate", "--at", own_kb, "-k", "1", "--json").out)
    assert "saffron" in found["text"]
    assert cli("delete", found["doc_id"], "--at", own_kb).status == 0
    assert "saffron" not in cli("search", "saffron gate", "--at", own_kb, "--json").out
    assert cli("delete", "--at", own_kb, "--", "-104").status == 0
    assert cli("delete", "no-such-id", "--at", own_kb).status == 4


def test_compile_names_what_was_left_out(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("in/good.md").write_text("# Good\n\nA page.\n")
    Path("in/empty.md").write_text("")
    outcome = cli("compile", "in", "--to", "kb")
    assert outcome.status == 7
    assert "E_EMPTY" in outcome.err
    assert "cure:" in outcome.err
    assert "added 1" in outcome.out
    again = cli("compile", "in", "--to", "kb", "--json")
    assert json.loads(again.out)["counts"]["unchanged"] == 1


def test_compile_a_list_from_stdin(
    cli: Cli, corpus: Path, stdin: Callable[[bytes], None], tmp_path: Path
) -> None:
    stdin(f"{corpus}/docs/auth.md\n{corpus}/docs/quota.md\n".encode())
    assert json.loads(cli("compile", "-", "--to", tmp_path / "kb", "--json").out)["counts"]["added"] == 2


def test_evaluate(cli: Cli, tiny_kb: Path, corpus: Path) -> None:
    outcome = cli(
        "evaluate", corpus / "questions", "--at", tiny_kb, "--json", "--require", "R@100>=0.9", "--misses"
    )
    assert outcome.status == 0, outcome.err
    facts = json.loads(outcome.out)
    assert facts["queries"] == 6
    assert set(facts["legs"]) >= {"lexical", "dense", "hybrid", "search"}
    assert facts["legs"]["search"]["R@100"] == 1.0
    assert isinstance(facts["misses"], list)
    assert "R@100" in cli("evaluate", corpus / "questions", "--at", tiny_kb).out


def test_evaluate_gates_and_wrong_input(cli: Cli, tiny_kb: Path, corpus: Path) -> None:
    questions = corpus / "questions"
    assert (
        cli("evaluate", questions, "--at", tiny_kb, "--require", "Hits@1>0.999, failure@20<0.0").status == 5
    )
    assert cli("evaluate", questions, "--at", tiny_kb, "--require", "nDGC@10>0.1").status == 2
    assert cli("evaluate", questions, "--at", tiny_kb, "--split", "dev").status == 2
    assert cli("evaluate", "nowhere", "--at", tiny_kb).status in (4, 2)


def test_compare(cli: Cli, tiny_kb: Path, corpus: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(cli("evaluate", corpus / "questions", "--at", tiny_kb, "--json", "--per-query").out)
    outcome = cli("compare", path, path)
    assert outcome.status == 0, outcome.err
    assert "nDCG@10" in outcome.out
    facts = json.loads(cli("compare", path, path, "--json", "--leg", "dense").out)
    assert facts["queries"] == 6
    assert facts["measures"]["nDCG@10"]["p"] == 1.0
    assert facts["measures"]["nDCG@10"]["difference"] == 0.0


@pytest.mark.parametrize(
    "text", ["[", "{}", "[]", '{"per_query": 3}', '{"per_query": {"q1": {"dense": {}}}}']
)
def test_compare_refuses_what_is_no_evaluation(text: str, cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    outcome = cli("compare", path, path)
    assert outcome.status == 2
    assert "--per-query" in outcome.err
    assert cli("compare", path, tmp_path / "none.json").status in (4, 2)


def test_compare_refuses_other_questions(cli: Cli, tmp_path: Path) -> None:
    for name in ("a", "b"):
        facts = {"per_query": {f"{name}1": {"search": {"AP": 0.5}}}}
        (tmp_path / f"{name}.json").write_text(json.dumps(facts))
    outcome = cli("compare", tmp_path / "a.json", tmp_path / "b.json")
    assert outcome.status == 2
    assert "share 0 of 1 and 1 queries" in outcome.err


def test_learn_with_too_little_says_so_and_changes_nothing(cli: Cli, own_kb: Path, corpus: Path) -> None:
    before = cli("status", "--at", own_kb, "--json").out
    outcome = cli("learn", "--at", own_kb, "--pairs", corpus / "clicks.jsonl")
    assert (outcome.status, "E_PAIRS" in outcome.err) == (2, True)
    assert cli("status", "--at", own_kb, "--json").out == before


def test_missing_index_is_4(cli: Cli, tmp_path: Path) -> None:
    for verb in (["search", "x"], ["ask", "x"], ["status"], ["doctor"], ["delete", "x"], ["rollback"]):
        outcome = cli(*verb, "--at", tmp_path / "none")
        assert outcome.status == 4, verb
        assert "E_NOT_FOUND" in outcome.err


def test_explain_names_the_stage_that_lost_a_document(cli: Cli, tiny_kb: Path) -> None:
    asked = ("explain", "rotate the signing key", "--at", tiny_kb)
    told = cli(*asked, "--doc", "docs/quota.md", "-k", 1).out
    assert "lost in reranking  – not among the first 1: fused " in told
    assert "cure  – `learn` the reranker" in told
    assert "lost in" not in cli(*asked, "--doc", "docs/auth.md", "-k", 1).out
    children = json.loads(cli(*asked, "--doc", "docs/quota.md", "-k", 1, "--json").out)["children"]
    assert (children[-1]["name"], children[-1]["value"]) == ("lost in", "reranking")


def test_compile_and_update_drop_what_is_gone(cli: Cli, tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name in ("amber", "basalt", "cedar"):
        (docs / f"{name}.md").write_text(f"# {name}\n\nThe {name} gate.\n")
    config = tmp_path / "words.toml"
    config.write_text('[models]\nencoder = "none"\n')
    kb = tmp_path / "kb"
    assert cli("compile", docs, "--to", kb, "--config", config).status == 0
    (docs / "amber.md").unlink()
    assert "deleted 1" in cli("compile", docs, "--to", kb, "--config", config).out
    (docs / "basalt.md").unlink()
    assert "deleted 1" in cli("update", docs / "basalt.md", "--at", kb).out
    outcome = cli("update", docs / "dill.md", tmp_path / "typo", "--at", kb)
    assert outcome.status == 7
    assert outcome.err.count("E_NOT_FOUND") == 2
    assert "cedar" in cli("search", "gate", "--at", kb).out
