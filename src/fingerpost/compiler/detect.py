"""What a file is, by its content; the name only tells text formats apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from fingerpost.errors import InputError

MARKUP = {".md", ".markdown", ".mdx", ".mdown", ".mkd"}
CODE = {
    ".py": "python",
    ".pyi": "python",
    ".pyw": "python",
    ".js": "javascript",
    ".jsx": "javascript",
    ".mjs": "javascript",
    ".cjs": "javascript",
    ".ts": "typescript",
    ".mts": "typescript",
    ".cts": "typescript",
    ".tsx": "tsx",
    ".c": "c",
    ".h": "c",
    ".cc": "cpp",
    ".cpp": "cpp",
    ".cxx": "cpp",
    ".hpp": "cpp",
    ".hh": "cpp",
    ".go": "go",
    ".rs": "rust",
    ".java": "java",
}
_PLAIN = """
.sh .bash .zsh .fish .ps1 .bat .rb .php .pl .pm .lua .r .jl .kt .kts .scala .swift .cs .fs .vb .hs .ml .ex
.exs .erl .clj .el .lisp .sql .m .mm .dart .zig .nim .v .vhd .asm .s .f .f90 .css .scss .less .vue .svelte
.proto .graphql .tf .cmake .mk .gradle .groovy .yaml .yml .toml .ini .cfg .conf .properties .env .lock
.txt .text .log .tex .adoc .asciidoc .org .srt .vtt .diff .patch .po .pot .1 .2 .3 .8
"""
KINDS = {
    **dict.fromkeys(MARKUP, "markdown"),
    **dict.fromkeys(CODE, "code"),
    **dict.fromkeys(_PLAIN.split(), "text"),
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    **dict.fromkeys((".rst", ".rest"), "rst"),
    **dict.fromkeys((".jsonl", ".ndjson"), "records"),
    **dict.fromkeys((".csv", ".tsv"), "table"),
    **dict.fromkeys((".json", ".ipynb"), "jsonfile"),
    **dict.fromkeys((".xml", ".svg", ".xsl", ".rss", ".atom"), "xml"),
    ".pdf": "pdf",
}
_ARCHIVE = "unpack it and name the folder"
_EXPORT = "export it as text, HTML or PDF"
# magic bytes, offset, what it is, what to do about it
BINARY: tuple[tuple[bytes, int, str, str], ...] = (
    (b"PK\x03\x04", 0, "a ZIP archive (or an Office, EPUB or JAR file)", f"{_ARCHIVE}; {_EXPORT}"),
    (b"PK\x05\x06", 0, "an empty ZIP archive", _ARCHIVE),
    (b"PK\x07\x08", 0, "a split ZIP archive", _ARCHIVE),
    (b"\x1f\x8b", 0, "gzip data", _ARCHIVE),
    (b"\x28\xb5\x2f\xfd", 0, "Zstandard data", _ARCHIVE),
    (b"\xfd7zXZ\x00", 0, "xz data", _ARCHIVE),
    (b"]\x00\x00", 0, "LZMA data", _ARCHIVE),
    (b"BZh", 0, "bzip2 data", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7-Zip archive", _ARCHIVE),
    (b"Rar!\x1a\x07", 0, "a RAR archive", _ARCHIVE),
    (b"ustar", 257, "a TAR archive", _ARCHIVE),
    (b"\x7fELF", 0, "an ELF binary", "leave programs out"),
    (b"MZ\x90\x00", 0, "a Windows program", "leave programs out"),
    (b"\xcf\xfa\xed\xfe", 0, "a Mach-O binary", "leave programs out"),
    (b"\xca\xfe\xba\xbe", 0, "a Java class or Mach-O binary", "leave programs out"),
    (b"\x00asm", 0, "a WebAssembly program", "leave programs out"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0, "an old Office document", _EXPORT),
    (b"{\\rtf", 0, "an RTF document", _EXPORT),
    (b"\x89PNG\r\n", 0, "a PNG image", "leave images out"),
    (b"\xff\xd8\xff", 0, "a JPEG image", "leave images out"),
    (b"GIF8", 0, "a GIF image", "leave images out"),
    (b"SQLite format 3\x00", 0, "an SQLite database", "export its tables as CSV or JSON Lines"),
    (b"%!PS", 0, "a PostScript document", "convert it to PDF"),
    (b"\x93NUMPY", 0, "a NumPy array", "leave arrays out"),
    (b"\x80\x04\x95", 0, "a Python pickle", "leave pickles out; they are never loaded"),
)
_MAIL = re.compile(rb"(?:[A-Za-z][A-Za-z-]{1,40}: [^\n]{0,500}\r?\n(?:[ \t][^\n]{0,500}\r?\n){0,20}){3,}")
_MAIL_KEYS = re.compile(rb"(?im)^(?:received|message-id|mime-version|from|to|subject|date): ")
_NOT_TEXT = bytes(set(range(32)) - {9, 10, 12, 13, 27})


@dataclass(frozen=True, slots=True)
class Kind:
    """The name of a reader and what was odd on the way to it."""

    kind: str
    flags: tuple[str, ...] = ()


def detect(data: bytes, name: str) -> Kind:
    """The reader for these bytes.

    Raises InputError: E_EMPTY, E_TYPE_MISMATCH (binary content under a text or PDF name), E_BAD_FORMAT
    (content that is not read here).

    >>> detect(b"# Title", "notes.md").kind, detect(b"<!doctype html><p>", "page").kind
    ('markdown', 'html')
    """
    suffix = PurePosixPath(name).suffix.lower()
    head = data[:4096]
    if not head.strip():
        raise InputError("E_EMPTY", f"{name} holds nothing but white space", cure="fill or remove the file")
    if b"%PDF-" in head[:1024]:
        return Kind("pdf", () if suffix in (".pdf", "") else ("type_mismatch",))
    _refuse_binary(data, name, suffix)
    if suffix in KINDS and suffix != ".pdf":
        return Kind(KINDS[suffix])
    if suffix == ".pdf":
        raise InputError("E_TYPE_MISMATCH", f"{name} is not a PDF", cure="give it the name of what it is")
    return Kind(_by_content(head, name))


def _refuse_binary(data: bytes, name: str, suffix: str) -> None:
    for magic, at, what, cure in BINARY:
        if data.startswith(magic, at):
            code = "E_TYPE_MISMATCH" if suffix in KINDS else "E_BAD_FORMAT"
            raise InputError(code, f"{name} is {what}, which is not read", cure=cure)
    if suffix in (".eml", ".mbox", ".msg") or _is_mail(data):
        raise InputError("E_BAD_FORMAT", f"{name} is mail, which is not read", cure="export it as text")
    head = data[:8192]
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or _utf16(head):
        return
    odd = len(head) - len(head.translate(None, _NOT_TEXT))
    if odd > 8 and odd * 10 > len(head):
        raise InputError(
            "E_BAD_FORMAT",
            f"{name} is binary: {odd} of its first {len(head)} bytes are control codes",
            cure="leave it out",
        )


def _is_mail(data: bytes) -> bool:
    if data.startswith(b"From ") and b"\nReceived: " in data[:8192]:
        return True
    found = _MAIL.match(data[:8192])
    return found is not None and len(set(_MAIL_KEYS.findall(found.group()))) >= 3


def _utf16(head: bytes) -> bool:
    """Text in UTF-16 without a mark: nearly every other byte is zero."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    half = len(head) // 2
    return half >= 2 and (
        (odd > 0.7 * half and even < 0.05 * half) or (even > 0.7 * half and odd < 0.05 * half)
    )


def _by_content(head: bytes, name: str) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:512].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "html"
    if start.startswith((b"<?xml", b"<svg")):
        return "html" if b"<html" in start else "xml"
    if start.startswith(b"#!") and b"python" in start.partition(b"\n")[0]:
        return "code"
    first = start.partition(b"\n")[0]
    if first.startswith(b"{") and first.rstrip().endswith(b"}") and b'"text"' in first:
        return "records"
    return "text"
