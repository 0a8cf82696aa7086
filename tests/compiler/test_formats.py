"""Each format's reader: text, outline, title, metadata."""

from __future__ import annotations

import json

import pytest

from fingerpost.compiler.detect import detect
from fingerpost.compiler.formats import Source, parse
from fingerpost.errors import InputError
from fingerpost.records import Document


def read(name: str, text: str | bytes) -> Document:
    (item,) = parse(Source(text.encode() if isinstance(text, str) else text, name))
    assert isinstance(item, Document), item
    return item


def outline(document: Document) -> list[tuple[str, int, str]]:
    """Title, level and the beginning of each section's text."""
    return [
        (s.title, s.level, document.text[s.start : s.end][:12]) for s in document.sections if s.kind != "link"
    ]


def test_markdown() -> None:
    front = "---\ntitle: Guide\ntags: [a]\nauthor: Jo\n---\n"
    text = front + "# One `x`\ntext\n\nTwo\n---\n```\n# no\n```\n## Three ##\n"
    document = read("a.md", text)
    assert document.title == "Guide"
    assert document.metadata == {"author": "Jo"}
    assert document.text.startswith("# One")
    assert outline(document) == [
        ("One x", 1, "# One `x`\nte"),
        ("Two", 2, "Two\n---\n```\n"),
        ("Three", 2, "## Three ##\n"),
    ]
    assert document.source_map == ((0, text.index("# One")),)


def test_markdown_links_keep_their_places() -> None:
    document = read("a.md", "See [the guide](guide.md#x) and ![img](x.png).")
    (link,) = document.sections
    assert (document.text[link.start : link.end], link.title, link.kind) == (
        "the guide",
        "guide.md#x",
        "link",
    )


def test_restructured_text() -> None:
    document = read("a.rst", "=====\nTitle\n=====\n\nIntro\n\nPart :mod:`json`\n----------------\ntext\n")
    assert document.title == "Title"
    assert outline(document) == [("Title", 1, "=====\nTitle\n"), ("Part json", 2, "Part :mod:`j")]


def test_html() -> None:
    document = read(
        "a.html",
        "<title>T</title><h1>Head</h1><p>One\n two<br>three<p>See <a href='b.html'>there</a>"
        "<h2>Sub</h2><ul><li>x<li>y</ul><pre>a\n  b</pre><table><tr><td>1<td>2</table>",
    )
    assert document.title == "T"
    assert document.text == "Head\n\nOne two\nthree\n\nSee there\n\nSub\n\n- x\n- y\n\na\n  b\n\n1 | 2"
    assert outline(document) == [("Head", 1, "Head\n\nOne tw"), ("Sub", 2, "Sub\n\n- x\n- y")]
    (link,) = [section for section in document.sections if section.kind == "link"]
    assert document.text[link.start : link.end] == "there"


@pytest.mark.parametrize(
    ("name", "code", "symbols"),
    [
        (
            "a.py",
            "import x\n@dec\nclass A:\n  def b(self):\n    def inner(): pass\nasync def c(): pass\n",
            ["A", "b", "c"],
        ),
        ("a.js", "export class A { b() {} }\nfunction c() {}\n", ["A", "b", "c"]),
        ("a.ts", "export interface A { x: number }\nexport function c(): void {}\n", ["A", "c"]),
        ("a.go", "package p\ntype A struct{}\nfunc (a A) B() {}\nfunc C() {}\n", ["A", "B", "C"]),
        ("a.rs", "struct A;\nimpl A { fn b(&self) {} }\nfn c() {}\n", ["A", "A", "b", "c"]),
        ("A.java", "class A { void b() {} interface C {} }", ["A", "b", "C"]),
        ("a.c", "struct s { int x; };\nstatic int *f(int a) { return 0; }\n", ["s", "f"]),
        ("a.cpp", "namespace n { class A { void b() {} }; }\n", ["n", "A", "b"]),
    ],
)
def test_source_code(name: str, code: str, symbols: list[str]) -> None:
    document = read(name, code)
    assert document.text == code
    assert document.title == name
    assert [section.title for section in document.sections] == symbols


def test_code_offsets_count_characters() -> None:
    document = read("a.py", '"""Ünïcödé 😀."""\ndef f():\n    "é"\n\ndef g(): pass\n')
    assert [document.text[s.start : s.end].split("(")[0] for s in document.sections] == ["def f", "def g"]


def test_decorators_belong_to_their_symbol() -> None:
    document = read("a.py", "class A:\n    @property\n    def b(self): ...\n")
    assert document.text[document.sections[1].start :].startswith("    @property")


def test_csv_rows_are_records_or_named_cells() -> None:
    rows = list(parse(Source(b"id;text;year\n1;hello;1999\n2;;2000\n", "a.csv")))
    assert isinstance(rows[0], Document)
    assert rows[0].doc_id == "1"
    assert rows[0].metadata == {"year": "1999"}
    assert not isinstance(rows[1], Document)
    cells = read("b.csv", "name,colour\nsign,red\n")
    assert (cells.doc_id, cells.text) == ("#2", "name: sign\ncolour: red")


def test_csv_labels() -> None:
    rows = list(parse(Source(b'id,text,labels\n1,x,"[""a;b""]"\n2,x,a; b\n3,x,\n', "a.csv")))
    assert [row.labels for row in rows if isinstance(row, Document)] == [("a;b",), ("a", "b"), ()]


def test_json_lists_and_plain_json() -> None:
    record = read("a.json", json.dumps([{"id": "x", "title": "T", "text": ["one", "two"], "n": 1}]))
    assert (record.doc_id, record.text, record.metadata) == ("x", "one\n\ntwo", {"n": 1})
    assert read("b.json", '{"a": 1}').text == '{"a": 1}'


def test_metadata_that_cannot_be_kept_is_counted() -> None:
    document = read(
        "a.jsonl", json.dumps({"_id": "x", "text": "t", "tags": ["a", "b"], "deep": {"a": 1}, "no": None})
    )
    assert document.metadata == {"tags": "a, b"}
    assert document.flags == ("metadata_dropped:1",)


def test_a_declared_encoding_is_believed() -> None:
    assert read("a.py", "# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1")).text.endswith("'é'\n")
    assert "é" in read("a.html", "<meta charset=iso-8859-1><p>é".encode("latin-1")).text


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("x", b"<!DOCTYPE html><p>", "html"),
        ("x", b'{"id": "a", "text": "b"}\n', "records"),
        ("x", b"#!/usr/bin/env python3\nx", "code"),
        ("x", b"<?xml version='1.0'?><a/>", "xml"),
        ("README", b"hello", "text"),
        ("x.yaml", b"a: 1", "text"),
        ("x.txt", b"%PDF-1.4", "pdf"),
    ],
)
def test_the_content_decides(name: str, data: bytes, kind: str) -> None:
    assert detect(data, name).kind == kind


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.txt", b"\x89PNG\r\n\x1a\n", "E_TYPE_MISMATCH"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "E_BAD_FORMAT"),
        ("a.pdf", b"plain text", "E_TYPE_MISMATCH"),
        ("a", bytes(range(32)) * 9, "E_BAD_FORMAT"),
        ("a.md", b" \n\t ", "E_EMPTY"),
    ],
)
def test_what_is_not_text_is_refused(name: str, data: bytes, code: str) -> None:
    with pytest.raises(InputError) as caught:
        detect(data, name)
    assert caught.value.code == code
