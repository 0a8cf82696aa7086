"""Sources become documents with stable ids; what is left out is said."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from fingerpost.compiler import read, walk
from fingerpost.compiler.pool import MOST_BYTES, Job, Pool, Warm
from fingerpost.config import CompileSettings, Settings
from fingerpost.records import Document, Rejection

SETTINGS = Settings()


def documents(*paths: object, known: dict[str, str] | None = None) -> dict[str, Document]:
    items = list(read.sources([str(path) for path in paths], SETTINGS, known_roots=known))
    assert not [item for item in items if isinstance(item, Rejection)], items
    return {item.doc_id: item for item in items if isinstance(item, Document)}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small folder with a bit of everything that is passed over."""
    root = tmp_path / "site"
    for path, text in {
        "b.md": "# B",
        "a/guide.md": "# Guide",
        "a/z.txt": "plain",
        ".git/config": "x",
        ".hidden": "x",
        "__pycache__/x.pyc": "x",
        "kb/ledger.db": "x",
        "kb/MANIFEST": "x",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def test_a_folder_gives_relative_ids_in_order_and_says_what_it_passed_over(site: Path) -> None:
    sources = read.sources([site], SETTINGS)
    items = [item for item in sources if isinstance(item, Document)]
    assert [item.doc_id for item in items] == ["b.md", "a/guide.md", "a/z.txt"]
    assert sources.notes == (
        "skipped 1 × __pycache__ folder",
        "skipped 1 × folder that is itself an index",
        "skipped 1 × hidden file",
        "skipped 1 × version control folder",
    )
    assert items[0].metadata["source"] == "site"
    assert items[1].metadata["path"] == "a/guide.md"
    assert len(str(items[0].metadata["modified"])) == 10


def test_two_folders_do_not_shadow_each_other(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text(name)
    assert sorted(documents(tmp_path / "one", tmp_path / "two")) == ["one/README.md", "two/README.md"]


def test_a_single_file_keeps_the_id_that_its_folder_gave_it(site: Path) -> None:
    known = walk.roots([site])
    assert list(documents(site / "a" / "guide.md", known=known)) == ["a/guide.md"]
    assert list(documents(site / "a", known=known)) == ["a/guide.md", "a/z.txt"]


def test_a_single_file_that_its_folder_passes_over_is_left_out_aloud(site: Path) -> None:
    """Else an update would take in what reading the folder again drops."""
    paths = [site / name for name in (".hidden", ".git/config", "kb/MANIFEST")]
    known = walk.roots([site])
    items = list(read.sources([str(path) for path in paths], SETTINGS, known_roots=known))
    assert [(type(item), item.code) for item in items] == [(Rejection, "E_PATH")] * 3
    assert list(documents(site / ".hidden")) == [str(site / ".hidden")]


def test_a_file_given_by_a_relative_path_is_called_so(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(site)
    assert list(documents("a/guide.md")) == ["a/guide.md"]
    assert list(documents("./a/../b.md")) == ["b.md"]
    assert list(documents(site / "b.md")) == [str(site / "b.md")]


def test_patterns(site: Path) -> None:
    assert sorted(documents(f"{site}/**/*.md")) == ["a/guide.md", "b.md"]
    (missing,) = read.sources([f"{site}/*.nothing"], SETTINGS)
    assert isinstance(missing, Rejection)
    assert missing.code == "E_NOT_FOUND"


def test_a_missing_source_is_reported_and_the_rest_read(site: Path) -> None:
    items = list(read.sources([site / "gone.md", site / "b.md"], SETTINGS))
    assert [type(item) for item in items] == [Rejection, Document]


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    assert list(read.sources([tmp_path], SETTINGS)) == []


def test_a_beir_folder_is_its_corpus(tmp_path: Path) -> None:
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\tx\t1\n")
    (tmp_path / "queries.jsonl").write_text('{"_id": "1", "text": "what"}\n')
    (tmp_path / "README.md").write_text("# about")
    rows = [{"_id": f"d{n}", "title": f"T{n}", "text": "body", "metadata": {"year": n}} for n in range(5000)]
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sources = read.sources([tmp_path], SETTINGS)
    items = [item for item in sources if isinstance(item, Document)]
    assert [item.doc_id for item in items] == [f"d{n}" for n in range(5000)]
    assert items[7].metadata["year"] == 7
    assert sources.notes[0].startswith("skipped 3 × entry beside corpus.jsonl")


def test_bad_lines_are_named_and_the_others_read(tmp_path: Path) -> None:
    lines = [
        '{"id": "a", "text": "x"}',
        "{broken",
        '{"text": "no id"}',
        '{"id": "..", "text": "x"}',
        "[1]",
        '{"id": "e"}',
    ]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    items = list(read.sources([tmp_path / "t.jsonl"], SETTINGS, known_roots={str(tmp_path): ""}))
    assert [item.doc_id for item in items if isinstance(item, Document)] == ["a", "t.jsonl#3"]
    rejections = [item for item in items if isinstance(item, Rejection)]
    assert [item.code for item in rejections] == ["E_BAD_FORMAT", "E_ID", "E_BAD_FORMAT", "E_EMPTY"]
    assert rejections[0].source.endswith("t.jsonl line 2")


def test_parts_of_documents_that_are_not_kept_are_told(tmp_path: Path) -> None:
    """Only a flag of the document knew of them."""
    (tmp_path / "a.jsonl").write_text(
        '{"id": "a", "text": "x", "n": {"deep": 1}, "m": [[1]]}\n{"id": "b", "text": "x", "n": {"deep": 1}}\n'
    )
    (tmp_path / "b.txt").write_bytes(b"word " * 2_000 + b"\xff" + b" word" * 2_000)
    sources = read.sources([tmp_path / "a.jsonl", tmp_path / "b.txt"], SETTINGS)
    assert [type(item) for item in sources] == [Document] * 3
    told = ("3 × metadata left out: nested, or too long (first: 'a')", "1 × a damaged byte became U+FFFD")
    assert sources.notes[0] == told[0]
    assert sources.notes[1].startswith(told[1])


def test_a_file_whose_name_can_be_no_id_is_to_be_renamed(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "new\nline.md").write_text("A page.")
    (item,) = read.sources([tmp_path / "docs"], SETTINGS)
    assert isinstance(item, Rejection)
    assert item.source == str(tmp_path / "docs" / "new\nline.md")
    assert item.cure.startswith("rename the file")


def test_an_id_that_comes_twice_is_counted(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"id": "a", "text": "old"}\n{"id": "a", "text": "new"}\n')
    sources = read.sources([tmp_path / "t.jsonl"], SETTINGS)
    assert [item.text for item in sources if isinstance(item, Document)] == ["old", "new"]
    where = f"('a' in {tmp_path / 't.jsonl'})"
    assert sources.notes == (f"1 × an id came again {where}: of documents with one id the last one counts",)


def test_of_many_ids_that_come_again_some_are_named(tmp_path: Path) -> None:
    for month in ("may", "june", "july"):
        (tmp_path / f"{month}.csv").write_text("id,text\n" + "".join(f"{at},{month}\n" for at in range(4)))
    sources = read.sources([tmp_path], SETTINGS)
    assert len(list(sources)) == 12
    [note] = sources.notes
    assert note.startswith("8 × an id came again (")
    assert f"'3' in {tmp_path / 'june.csv'}, '0' in {tmp_path / 'may.csv'}, …): of" in note


@pytest.mark.parametrize(
    ("labels", "expected"),
    [("[]", ()), ('["b", "a", "b"]', ("b", "a")), ('["a,b"]', ("a,b",))],
)
def test_labels(labels: str, expected: tuple[str, ...] | None, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(f'{{"id": "a", "text": "x", "labels": {labels}}}\n')
    assert documents(tmp_path / "t.jsonl")["a"].labels == expected


@pytest.mark.parametrize("labels", ["null", '"a"', "[1]", '[""]', '{"a": 1}'])
def test_malformed_labels_fail_closed(labels: str, tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(f'{{"id": "a", "text": "x", "labels": {labels}}}\n')
    (item,) = read.sources([tmp_path / "t.jsonl"], SETTINGS)
    assert isinstance(item, Rejection)


def test_the_same_input_gives_the_same_documents(site: Path) -> None:
    assert list(read.sources([site], SETTINGS)) == list(read.sources([site], SETTINGS))


def test_a_file_that_breaks_the_reading_process_costs_only_itself() -> None:
    """Memory for one document only: the middle one needs forty times as much as its bytes."""
    settings = CompileSettings(parser_memory_mb=128)
    hungry = b"[" + b"[]," * 8_000_000 + b"[]]"
    jobs = [Job("a.md", b"# a"), Job("hungry.json", hungry), Job("b.md", b"# b")]
    with Pool(settings) as pool:
        items = [item for _, item in pool.run(jobs)]
    assert [type(item) for item in items] == [Document, Rejection, Document]
    assert isinstance(items[1], Rejection)
    assert items[1].code in ("E_TOO_BIG", "E_BAD_FORMAT")
    assert "memory" in items[1].reason


def test_a_file_that_takes_too_long_is_given_up() -> None:
    settings = CompileSettings(parser_seconds=1)
    slow = b"<p>" + b"<b><i><p>" * 300 + b"<table><b>" * 900 + b"</b></i>x" * 200_000
    jobs = [Job("a.md", b"# a"), Job("slow.html", slow * 12), Job("b.md", b"# b")]
    with Pool(settings) as pool:
        items = [item for _, item in pool.run(jobs)]
    assert [type(item) for item in items] == [Document, Rejection, Document]
    assert isinstance(items[1], Rejection)
    assert items[1].code == "E_TIMEOUT", items[1]


def test_closing_early_ends_the_reading_process(site: Path) -> None:
    sources = read.sources([site], SETTINGS)
    next(sources)
    sources.close()
    assert list(sources) == []


def test_a_reading_process_that_stays_is_replaced_when_it_must(site: Path) -> None:
    warm = Warm(SETTINGS.compile)

    def read_all() -> int:
        assert list(read.sources([site], SETTINGS, warm=warm)) == expected
        worker = warm._pool._worker
        assert worker is not None
        return worker._process.pid

    expected = list(read.sources([site], SETTINGS))
    first = read_all()
    assert read_all() == first, "it stayed"
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    second = read_all()
    assert second != first
    broken = read.sources([site], SETTINGS, warm=warm)
    next(broken)
    broken.close()
    third = read_all()
    assert third != second, "answers nobody took were left in its pipe"
    with warm.lend() as one, warm.lend() as other:
        assert one is not other, "two calls at a time have two"
    warm._pool.taken = MOST_BYTES + 1
    assert list(read.sources([site], SETTINGS, warm=warm)) == expected
    assert warm._pool._worker is None
    with pytest.raises(ProcessLookupError):
        os.kill(third, 0)
    fourth = read_all()
    warm.close()
    with pytest.raises(ProcessLookupError):
        os.kill(fourth, 0)
