"""The index end to end on a small corpus, with the real encoder, store and lexical index."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import fingerpost
from fingerpost.errors import FingerprintError, NotFoundError, UsageError
from fingerpost.ground.verify import verify
from fingerpost.records import Span


@pytest.fixture
def folder(tmp_path: Path, corpus: Path) -> Path:
    """A copy of the corpus's pages that a test may change."""
    return Path(shutil.copytree(corpus / "docs", tmp_path / "docs"))


def ids(spans: list[Span]) -> list[str]:
    return [span.doc_id for span in spans]


def test_every_span_stands_in_its_document(tiny_kb: Path) -> None:
    with fingerpost.open(tiny_kb) as index:
        spans = index.search("how do I rotate the signing key?")
        assert spans
        for span in spans:
            text = index.document(span.doc_id).text
            assert text[span.start : span.end] == span.text
            assert all(span.start <= a < b <= span.end for a, b in span.highlights)


def test_an_answer_cites_what_the_store_holds(tiny_kb: Path) -> None:
    with fingerpost.open(tiny_kb) as index:
        answer = index.ask("How do I rotate the signing key?")
        assert not answer.refused
        assert verify(answer, lambda doc_id: index.document(doc_id).text) == ()


def test_a_question_about_nothing_here_is_refused(tiny_kb: Path) -> None:
    with fingerpost.open(tiny_kb) as index:
        answer = index.ask("Which opera did the ambassador of Peru attend in 1931?")
        assert answer.refused
        assert "support" in answer.reason


def test_the_trace_names_the_stages_in_order(tiny_kb: Path) -> None:
    with fingerpost.open(tiny_kb) as index:
        _, trace = index.trace("login fails")
    assert [stage.name for stage in trace.stages] == ["encode", "route", "retrieve", "rerank", "spans"]
    assert trace.plan is not None
    assert trace.plan.full
    assert "full search" in trace.plan.reason


def test_an_update_is_found_at_once_and_a_second_one_changes_nothing(folder: Path, tmp_path: Path) -> None:
    with fingerpost.compile(folder, to=tmp_path / "kb") as index:
        (folder / "zebra.md").write_text("# Zebra\n\nThe flux capacitor of ticket QX-4711 hums in B flat.\n")
        assert index.update(folder).counts["added"] == 1
        assert ids(index.search("QX-4711"))[0] == "zebra.md"
        assert index.search("QX-4711")[0].parts["dense"] != 0.0, "its vector is there as well"
        again = index.update(folder).counts
    assert (again["added"], again["updated"], again["deleted"]) == (0, 0, 0)
    with fingerpost.open(tmp_path / "kb") as index:
        assert ids(index.search("QX-4711"))[0] == "zebra.md"


def test_what_disappears_from_a_folder_goes(folder: Path, tmp_path: Path) -> None:
    (folder / "zebra.md").write_text("# Zebra\n\nTicket QX-4711.\n")
    with fingerpost.compile(folder, to=tmp_path / "kb") as index:
        assert "zebra.md" in ids(index.search("QX-4711"))
        (folder / "zebra.md").unlink()
        assert index.update(folder).counts["deleted"] == 1
        assert "zebra.md" not in ids(index.search("QX-4711"))


def test_a_file_that_cannot_be_read_any_more_keeps_its_last_version(folder: Path, tmp_path: Path) -> None:
    (folder / "zebra.md").write_text("# Zebra\n\nTicket QX-4711.\n")
    with fingerpost.compile(folder, to=tmp_path / "kb") as index:
        (folder / "zebra.md").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(64))
        report = index.update(folder)
        assert [rejection.code for rejection in report.rejections] == ["E_TYPE_MISMATCH"]
        assert "zebra.md" in ids(index.search("QX-4711"))


def test_deleted_is_gone_from_every_leg_and_after_a_fold(folder: Path, tmp_path: Path) -> None:
    (folder / "zebra.md").write_text("# Zebra\n\nTicket QX-4711 hums in B flat.\n")
    with fingerpost.compile(folder, to=tmp_path / "kb") as index:
        index.delete("zebra.md")
        for query in ("QX-4711", "hums in B flat", "which device makes a musical sound?"):
            assert "zebra.md" not in ids(index.search(query, k=50))
        with pytest.raises(NotFoundError):
            index.explain("QX-4711", doc_id="zebra.md")
        with pytest.raises(NotFoundError):
            index.delete("zebra.md")
    with fingerpost.compile(folder / "..", to=tmp_path / "kb") as index:
        assert index.status()["tombstones"] == 0


def test_a_delete_names_the_documents_that_were_not_there(folder: Path, tmp_path: Path) -> None:
    (folder / "caf\u00e9.md").write_text("# Coffee\n\nOpen until nine.\n")
    with fingerpost.compile(folder, to=tmp_path / "kb") as index:
        known = next(doc_id for doc_id in ids(index.search("open until nine")) if "\u00e9" in doc_id)
        # one id in two spellings is one document
        report = index.delete(known, known.replace("\u00e9", "e\u0301"), "nowhere.md")
        assert report.counts == {"deleted": 1.0}
        assert report.notes == ("1 not there: 'nowhere.md'",)


def test_compiling_again_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    def built(name: str) -> dict[str, bytes]:
        fingerpost.compile(folder, to=tmp_path / name).close()
        manifest = json.loads((tmp_path / name / "MANIFEST").read_text())
        generation = tmp_path / name / f"gen-{manifest['generation']:06d}"
        # tantivy names its segments at random, so its files and the list of all files differ in name
        left_out = {"sources.json", "MANIFEST"}
        arrays = [path for path in sorted(generation.rglob("*")) if path.is_file()]
        kept = [path for path in arrays if "lexical" not in path.parts and path.name not in left_out]
        return {path.name: path.read_bytes() for path in kept}

    assert built("one") == built("two")


def test_labels_hide_documents_from_search_answers_and_explanations(tmp_path: Path) -> None:
    records = [
        {"_id": "open", "text": "The canteen opens at noon.", "labels": ["staff"]},
        {"_id": "plain", "text": "The merger of Heron's canteens has no labels."},
        {
            "_id": "secret",
            "text": "The merger with Initech is called project Heron.",
            "labels": ["group:board"],
        },
    ]
    source = tmp_path / "notes.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in records))
    with fingerpost.compile(source, to=tmp_path / "kb") as index:
        assert "from now on documents without labels are found by nobody" in index.report.notes[-1]
        assert ids(index.search("project Heron merger", principals=["staff"])) == ["open"]
        assert ids(index.search("project Heron merger", principals=["group:board"])) == ["secret"]
        for principals, told in (((), "gives no principals"), (("x",), "these principals")):
            spans, trace = index.trace("project Heron merger", principals=principals)
            assert not spans
            assert told in next(stage.note for stage in trace.stages if stage.name == "retrieve")
            answer = index.ask("What is the merger called?", principals=principals)
            assert answer.refused
            assert answer.reason.endswith(told)
        with pytest.raises(NotFoundError):
            index.explain("merger", doc_id="secret")


def test_filters_hold_in_every_leg(tiny_kb: Path) -> None:
    with fingerpost.open(tiny_kb) as index:
        spans = index.search("login", filters=["path:tickets.jsonl"], k=50)
        assert spans
        assert {span.metadata["path"] for span in spans} == {"tickets.jsonl"}
        with pytest.raises(UsageError, match="E_FILTER"):
            index.search("login", filters=["labels:x"])


def test_an_index_without_a_model_searches_words(folder: Path, tmp_path: Path) -> None:
    settings = fingerpost.Settings.model_validate({"models": {"encoder": "none"}})
    with fingerpost.compile(folder, to=tmp_path / "kb", settings=settings) as index:
        spans, trace = index.trace("rotate the signing key")
        assert spans
        assert "lexical only" in (trace.plan.reason if trace.plan else "")
        assert index.ask("How do I rotate the signing key?").citations


def test_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    fingerpost.compile(folder, to=tmp_path / "kb").close()
    other = fingerpost.Settings.model_validate(
        {"models": {"encoder": "minilm", "passage_prefix": "passage: "}}
    )
    with fingerpost.open(tmp_path / "kb", settings=other) as index, pytest.raises(FingerprintError):
        index.search("login")


def test_a_full_and_a_routed_search_agree_on_what_is_found_first(tmp_path: Path) -> None:
    words = ["amber", "basalt", "cedar", "delta", "ember", "fjord", "granite", "harbor", "island", "jasper"]
    rng = np.random.default_rng(0)
    records = [
        {"_id": f"d{at}", "text": f"Record {at}: " + " ".join(rng.choice(words, 12)) + f" code-{at:04d}."}
        for at in range(600)
    ]
    source = tmp_path / "records.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in records))
    tree = {"route": {"full_below": 0, "leaf_chunks": 32, "budget": 0.2}, "store": {"late": False}}
    settings = fingerpost.Settings.model_validate(tree)
    with fingerpost.compile(source, to=tmp_path / "kb", settings=settings) as index:
        spans, trace = index.trace("code-0123")
        assert trace.plan is not None
        assert not trace.plan.full
        assert trace.plan.leaves
        assert spans[0].doc_id == "d123"
        assert index.route("code-0123").children
