"""Hostile ids: every row of the list of hostile inputs of kind id that has a meaning here.

The rest (tenants, sessions, keys, snapshots, fetching) stands in docs/limits.md under Ids, with its reason.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import fingerpost
from fingerpost.cli import output
from fingerpost.cli.app import run
from fingerpost.compiler.ids import valid
from fingerpost.config import parse
from fingerpost.errors import FingerpostError, InputError

BM25 = parse('[models]\nencoder = "none"')

REFUSED = [
    ("I01", ""),
    ("I02", " "),
    ("I02", "."),
    ("I02", ".."),
    ("I02", "..."),
    ("I03", "../../../etc/passwd"),
    ("I04", "..%2f..%2f"),
    ("I04", "%252e%252e/x"),
    ("I04", "..%c0%af"),
    ("I07", "a\x00b"),
    ("I08", "a\nb"),
    ("I08", "a\rb"),
    ("I08", "a\tb"),
    ("I08", "\x1b[31mred"),
    ("I09", "a" * 65_536),
    ("I11", "𝔸" * 128 + "a"),
    ("I18", "a\ud800"),
    ("I37", "../b"),
    ("I51", "../x"),
]

KEPT = [
    ("I05", "/etc/passwd"),
    ("I06", "C:\\Windows"),
    ("I06", "\\\\host\\share"),
    ("I06", "file.txt:ads"),
    ("I10", "𝔸" * 128),
    ("I13", "Case"),
    ("I13", "case"),
    ("I14", "end"),
    ("I14", "end."),
    ("I14", "end "),
    ("I14", "end/"),
    ("I15", "pay"),
    ("I15", "pаy"),
    ("I16", "a\u202eb"),
    ("I17", "a\u200db"),
    ("I19", "🧭"),
    ("I19", "指标"),
    ("I19", "لافتة"),
    ("I20", "007"),
    ("I20", "7"),
    ("I20", "7.0"),
    ("I20", "1e3"),
    ("I20", "0x10"),
    ("I21", "-1"),
    ("I21", str(2**63)),
    ("I21", str(2**64)),
    ("I22", "true"),
    ("I22", "null"),
    ("I22", "NaN"),
    ("I22", "undefined"),
    ("I23", "<img src=x onerror=alert(1)>"),
    ("I24", "{{7*7}}"),
    ("I24", "${7*7}"),
    ("I24", "<%= 7*7 %>"),
    ("I24", "a #{7*7}"),
    ("I25", "'; DROP TABLE documents; --"),
    ("I26", "$(touch pwned)"),
    ("I26", "`id`"),
    ("I26", "; rm -rf x"),
    ("I27", "--help"),
    ("I27", "-rf"),
    ("I27", "@file"),
    ("I27", "~root"),
    ("I27", "*"),
    ("I28", "MANIFEST"),
    ("I28", "wal"),
    ("I28", "_all"),
    ("I28", "tombstone"),
    ("I29", "a#0"),
    ("I29", "a"),
    ("I29", "a > b :: 0"),
    ("I29", "3.17"),
    ("I57", "file:///etc/passwd"),
    ("I58", "http://127.0.0.1/"),
    ("I59", "http://169.254.169.254/latest/meta-data"),
    ("I62", "http://user:pass@host/#x"),
]


def _records(path: Path, ids: list[str], text: str = "a page about pears", **more: object) -> Path:
    lines = [
        json.dumps({"_id": doc_id, "text": f"{text} number {n}", **more}) for n, doc_id in enumerate(ids)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fingerpost.Index]:
    """One index that holds a document for every odd id."""
    folder = tmp_path_factory.mktemp("ids")
    path = _records(folder / "ids.jsonl", [doc_id for _, doc_id in KEPT])
    with fingerpost.compile(str(path), to=folder / "kb", settings=BM25) as index:
        yield index


@pytest.mark.parametrize(("row", "doc_id"), REFUSED)
def test_refused_by_name(row: str, doc_id: str) -> None:
    with pytest.raises(InputError) as told:
        valid(doc_id)
    assert told.value.code == "E_ID"
    assert output.visible(told.value.message) == told.value.message
    assert len(told.value.message) < 600


def test_refused_records_are_named_and_the_rest_goes_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ids = [doc_id for row, doc_id in REFUSED if row not in ("I18",)]
    path = _records(tmp_path / "ids.jsonl", [*ids, "good"])
    config = tmp_path / "f.toml"
    config.write_text('[models]\nencoder = "none"\n')
    status = run(["compile", str(path), "--to", str(tmp_path / "kb"), "--config", str(config), "--json"])
    out, err = capfd.readouterr()
    assert status == 7
    report = json.loads(out)
    assert len(report["rejections"]) == len(ids)
    assert err.count("E_ID") == len(ids)
    assert "\x1b" not in err


@pytest.mark.parametrize(("row", "doc_id"), KEPT)
def test_kept_as_it_is(row: str, doc_id: str, kept: fingerpost.Index) -> None:
    spans = kept.search(f"pears number {[each for _, each in KEPT].index(doc_id)}", k=len(KEPT))
    assert doc_id in {span.doc_id for span in spans}
    assert valid(doc_id) == doc_id


def test_every_id_is_one_document(kept: fingerpost.Index) -> None:
    found = {span.doc_id for span in kept.search("pears", k=1000)}
    assert found == {doc_id for _, doc_id in KEPT}


@pytest.mark.parametrize(
    "doc_id", ["--help", "-rf", "*", "'; DROP TABLE documents; --", "$(touch pwned)", "end ", "MANIFEST"]
)
def test_delete_takes_exactly_the_one_named(doc_id: str, tmp_path: Path) -> None:
    ids = [each for _, each in KEPT]
    path = _records(tmp_path / "ids.jsonl", ids)
    fingerpost.compile(str(path), to=tmp_path / "kb", settings=BM25).close()
    assert run(["delete", "--at", str(tmp_path / "kb"), "--", doc_id]) == 0
    with fingerpost.open(tmp_path / "kb") as index:
        assert {span.doc_id for span in index.search("pears", k=1000)} == set(ids) - {doc_id}
    assert not os.path.lexists("pwned")


@pytest.mark.parametrize("doc_id", ["\x1b[31m", "a\u202eb", "a\nb", "a\u200db", "a\x00", "a\ud800"])
def test_i08_i16_i17_ids_cannot_act_on_a_terminal(doc_id: str) -> None:
    shown = output.label(doc_id)
    assert shown.isprintable()
    assert shown != doc_id


def test_i12_two_spellings_are_one_document(tmp_path: Path) -> None:
    path = _records(tmp_path / "ids.jsonl", ["caf\u00e9", "cafe\u0301"])
    with fingerpost.compile(str(path), to=tmp_path / "kb", settings=BM25) as index:
        assert [span.doc_id for span in index.search("pears")] == ["caf\u00e9"]
        index.delete("cafe\u0301")
        assert index.search("pears") == []


def test_i32_the_same_name_in_two_folders(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text(f"pears of {name}")
    with fingerpost.compile(
        str(tmp_path / "a"), str(tmp_path / "b"), to=tmp_path / "kb", settings=BM25
    ) as index:
        assert {span.doc_id for span in index.search("pears")} == {"a/README.md", "b/README.md"}


def test_i33_i34_i35_an_id_used_again(tmp_path: Path) -> None:
    path = _records(tmp_path / "ids.jsonl", ["x"], text="apples", labels=["team-a"])
    with fingerpost.compile(str(path), to=tmp_path / "kb", settings=BM25) as index:
        assert index.search("apples", principals=["team-a"])
        index.delete("x")
        assert index.search("apples", principals=["team-a"]) == []
        for n in range(20):
            _records(path, ["x"], text=f"pears version{n}", labels=["team-b"])
            index.update(str(path))
        assert index.search("apples", principals=["team-a", "team-b"]) == []
        assert index.search("pears", principals=["team-a"]) == []
        spans = index.search("pears", principals=["team-b"], k=50)
        assert [span.doc_id for span in spans] == ["x"]
        assert "version19" in spans[0].text


LABELS = [
    ("I39", ["a,b"], ["a", "b"], False),
    ("I39", ["a,b"], ["a,b"], True),
    ("I39", ["a b"], ["a"], False),
    ("I39", ['a"b'], ['a"b'], True),
    ("I40", ["*"], ["x"], False),
    ("I40", ["team"], ["*"], False),
    ("I40", ["public"], [], False),
    ("I41", [], ["a"], False),
    ("I42", None, [], True),
]


@pytest.mark.parametrize(("row", "labels", "principals", "seen"), LABELS)
def test_labels_are_names_and_nothing_else(
    row: str, labels: list[str] | None, principals: list[str], seen: bool, tmp_path: Path
) -> None:
    more = {} if labels is None else {"labels": labels}
    path = _records(tmp_path / "ids.jsonl", ["x"], **more)
    with fingerpost.compile(str(path), to=tmp_path / "kb", settings=BM25) as index:
        assert bool(index.search("pears", principals=principals)) is seen


def test_i43_ten_thousand_labels_and_no_more(tmp_path: Path) -> None:
    path = _records(tmp_path / "ids.jsonl", ["x"], labels=[f"g{n}" for n in range(10_000)])
    with fingerpost.compile(str(path), to=tmp_path / "kb", settings=BM25) as index:
        assert index.search("pears", principals=["g9999"])
        _records(path, ["y"], labels=[f"g{n}" for n in range(10_001)])
        assert [each.code for each in index.update(str(path)).rejections] == ["E_TOO_MANY"]


def test_i45_i46_explain_and_delete_of_what_is_not_there(kept: fingerpost.Index) -> None:
    with pytest.raises(FingerpostError) as told:
        kept.explain("pears", doc_id="no-such-id")
    assert told.value.exit_status == 4


@pytest.mark.parametrize(
    "url",
    [
        *(
            "file:///etc/passwd",
            "gopher://x/",
            "ftp://x/",
            "data:text/plain,hello",
            "http://127.0.0.1/",
            "http://[::1]/",
        ),
        *("http://0x7f.1/", "http://2130706433/", "http://169.254.169.254/", "http://user:pass@host/"),
    ],
)
def test_i57_i58_i59_i62_a_url_is_no_source(
    url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["compile", url, "--to", str(tmp_path / "kb")]) == 2
    assert "error E_PATH" in capfd.readouterr().err
    assert not (tmp_path / "kb").exists()
