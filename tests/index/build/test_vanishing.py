"""What disappeared goes, from compile and update alike; what came from elsewhere stays."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import fingerpost

WORDS_ONLY = fingerpost.Settings.model_validate({"models": {"encoder": "none"}})


def write(folder: Path, **pages: str) -> Path:
    for name, text in pages.items():
        path = folder / f"{name.replace('_', '/')}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def compiled(*sources: Path | str, to: Path) -> fingerpost.Index:
    return fingerpost.compile(*sources, to=to, settings=WORDS_ONLY)


def held(index: fingerpost.Index) -> set[str]:
    return {doc_id for doc_id, _, _ in index._rooms.store.desk.standing()}


def chunk_ids(index: fingerpost.Index) -> dict[str, str]:
    snapshot = index._rooms.store.snapshot()
    return {chunk.chunk_id: chunk.text for chunk in snapshot.chunks(snapshot.keys())}


def test_compiling_again_changes_only_what_changed(tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", a="# A\n\nAmber.\n", b="# B\n\nBasalt.\n", sub_c="# C\n\nCedar.\n")
    with compiled(docs, to=tmp_path / "kb") as index:
        before = chunk_ids(index)
    (docs / "a.md").unlink()
    write(docs, b="# B\n\nBasalt and more.\n", d="# D\n\nDelta.\n")
    with compiled(docs, to=tmp_path / "kb") as index:
        counts = index.report.counts
        assert [counts[name] for name in ("added", "updated", "unchanged", "deleted")] == [1, 1, 1, 1]
        assert held(index) == {"b.md", "sub/c.md", "d.md"}
        after = chunk_ids(index)
        assert not index.search("amber")
    (same,) = [name for name, text in before.items() if "Cedar" in text]
    assert after[same] == before[same]
    assert len(after) == 3
    with compiled(docs, to=tmp_path / "kb") as index:
        counts = index.report.counts
        assert [counts[name] for name in ("added", "updated", "unchanged", "deleted")] == [0, 0, 3, 0]


def test_other_sources_keep_their_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = write(tmp_path / "one", a="Amber.\n", two_x="Xylem of one.\n")
    two = write(tmp_path / "two", a="Basalt.\n", b="Cedar.\n")
    monkeypatch.chdir(write(tmp_path / "here", loose="Delta.\n"))
    kb = tmp_path / "kb"
    compiled(one, to=kb).close()
    compiled(two, to=kb).close()
    with compiled("loose.md", to=kb) as index:
        assert index.report.counts["deleted"] == 0
        everything = held(index)
        assert len(everything) == 5
    monkeypatch.chdir(tmp_path)  # from here loose.md does not exist
    (one / "a.md").unlink()
    with compiled(one, to=kb) as index:
        assert held(index) == everything - {"a.md"}
        assert index.update(two).counts["deleted"] == 0
        (two / "b.md").unlink()
        assert index.update(two).counts["deleted"] == 1
        assert index.update(one / "two").counts["deleted"] == 0
    with compiled(one / "two" / "x.md", to=kb) as index:  # a list of files says nothing about others
        assert index.report.counts["deleted"] == 0
        assert index.report.counts["unchanged"] == 1
        assert len(held(index)) == 3


def test_a_file_named_by_itself_goes_when_it_is_named_again(tmp_path: Path) -> None:
    page = write(tmp_path / "here", loose="Delta.\n") / "loose.md"
    other = write(tmp_path / "there", loose="Ember.\n") / "loose.md"
    with compiled(page, other, to=tmp_path / "kb") as index:
        page.unlink()
        report = index.update(page)
        assert (report.counts["deleted"], report.rejections) == (1, ())
        assert [rejection.code for rejection in index.update(page).rejections] == ["E_NOT_FOUND"]
        assert len(held(index)) == 1


def test_records_that_left_their_file_go(tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", a="Amber.\n")
    records = docs / "notes.jsonl"
    rows = [{"_id": f"n{at}", "text": f"Note {at}", "source": "mail", "path": "elsewhere"} for at in range(4)]
    records.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with compiled(docs, to=tmp_path / "kb") as index:
        records.write_text("".join(json.dumps(row) + "\n" for row in rows[1:]))
        assert index.update(records).counts["deleted"] == 1
        records.write_text("".join(json.dumps(row) + "\n" for row in rows[2:]) + "{not json\n")
        assert index.update(docs).counts["deleted"] == 0, "the bad line may be the one that is missing"
        records.unlink()
        assert index.update(docs).counts["deleted"] == 3
        assert held(index) == {"a.md"}


def test_a_pattern_speaks_for_what_it_matches(tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", a="Amber.\n", sub_b="Basalt.\n")
    (docs / "c.txt").write_text("Cedar.\n")
    compiled(docs, to=tmp_path / "kb").close()
    (docs / "sub" / "b.md").unlink()
    (docs / "c.txt").unlink()
    with compiled(f"{docs}/**/*.md", to=tmp_path / "kb") as index:
        assert held(index) == {"a.md", "c.txt"}


def test_a_folder_first_seen_by_an_update_is_remembered(tmp_path: Path) -> None:
    compiled(write(tmp_path / "one", a="Amber.\n"), to=tmp_path / "kb").close()
    two = write(tmp_path / "two", b="Basalt.\n", c="Cedar.\n")
    with fingerpost.open(tmp_path / "kb", write=True) as index:
        index.update(two)
        (two / "c.md").unlink()
        assert index.update(two).counts["deleted"] == 1
        assert index.update(two / "b.md").counts["unchanged"] == 1
        assert held(index) == {"a.md", "two/b.md"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read_keeps_its_documents(tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", a="Amber.\n", sub_b="Basalt.\n")
    with compiled(docs, to=tmp_path / "kb") as index:
        (docs / "sub").chmod(0)
        try:
            assert index.update(docs).counts["deleted"] == 0
        finally:
            (docs / "sub").chmod(0o700)
        assert held(index) == {"a.md", "sub/b.md"}


def test_a_folder_that_is_gone_goes_by_update_and_is_named_by_compile(tmp_path: Path) -> None:
    docs = write(tmp_path / "docs", a="Amber.\n", sub_b="Basalt.\n", sub_c="Cedar.\n")
    compiled(docs, to=tmp_path / "kb").close()
    docs.rename(tmp_path / "unmounted")
    with compiled(docs, to=tmp_path / "kb") as index:
        assert [rejection.code for rejection in index.report.rejections] == ["E_NOT_FOUND"]
        assert index.report.counts["deleted"] == 0
        (tmp_path / "unmounted").rename(docs)
        for name in ("b", "c"):
            (docs / "sub" / f"{name}.md").unlink()
        (docs / "sub").rmdir()
        assert index.update(docs / "sub").counts["deleted"] == 2
