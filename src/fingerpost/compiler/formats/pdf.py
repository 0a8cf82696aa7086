"""PDF (extra ``pdf``): text page by page, pages as sections. Images, scripts, attachments are left alone."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any

from fingerpost.compiler.formats import Source, bad_format
from fingerpost.errors import InputError, missing_extra
from fingerpost.records import Document, Section
from fingerpost.text.counts import counted

MAX_PAGES = 20_000
MAX_STREAM = 256 << 20
MAX_INFLATED = 1 << 30
MAX_FILTERS = 16
MAX_OBJECTS = 2_000
_STREAM = re.compile(rb"stream\r?\n")
_FILTERS = re.compile(rb"/Filter\s{0,8}\[([^\]]{0,4000})")
_ACTIVE = re.compile(rb"/(?:JavaScript|JS|Launch|EmbeddedFiles?|RichMedia|SubmitForm|ImportData)\b")
_WHITE, _TINY = 250, 1.0
_HYPHEN = re.compile(r"(?<=[a-z])[\ufffe\u0002]\s?|(?<=[a-z])\xad\n")


def parse(source: Source) -> Iterator[Document]:
    """One document. White or tiny text is kept and flagged ``hidden_text``; broken pages are counted."""
    active = _inspect(source)
    try:
        import pypdfium2
    except ImportError as error:
        raise missing_extra("pdf", f"reading {source.name}") from error
    try:
        pdf = pypdfium2.PdfDocument(source.data)
    except pypdfium2.PdfiumError as error:
        raise _cannot_open(source.name, str(error)) from error
    pages = _Pages(pdf, source.name)
    if not pages.text.strip():
        raise InputError(
            "E_EMPTY",
            f"{source.name} holds no text ({counted(len(pdf), 'page')}, scanned perhaps)",
            cure="run it through OCR",
        )
    truncated = b"%%EOF" not in source.data[-2048:]
    noticed = {
        "has_active_content": active,
        "hidden_text": pages.hidden,
        "truncated": truncated,
        f"pages_failed:{pages.failed}": pages.failed > 0,
    }
    yield Document(
        doc_id="",
        text=pages.text,
        title=str(pdf.get_metadata_dict().get("Title", "")).strip()[:300],
        metadata={"pages": len(pdf)},
        media_type="application/pdf",
        sections=tuple(pages.sections),
        flags=tuple(name for name, seen in noticed.items() if seen),
    )


class _Pages:
    """The text of all pages, with where each begins and ends."""

    def __init__(self, pdf: Any, name: str) -> None:
        if len(pdf) > MAX_PAGES:
            raise InputError(
                "E_TOO_MANY", f"{name} has {len(pdf)} pages (at most {MAX_PAGES})", cure="split it"
            )
        self.sections: list[Section] = []
        self.hidden = False
        self.failed = 0
        parts: list[str] = []
        at = 0
        for number in range(len(pdf)):
            words = self._page(pdf, number)
            if words.strip():
                self.sections.append(Section(at, at + len(words), f"page {number + 1}", 1, "page"))
                parts.append(words)
                at += len(words) + 2
        self.text = "\n\n".join(parts)

    def _page(self, pdf: Any, number: int) -> str:
        import pypdfium2

        try:
            page = pdf[number]
            words = page.get_textpage().get_text_range()
            self.hidden = self.hidden or _hides(page)
        except (pypdfium2.PdfiumError, UnicodeError):
            self.failed += 1
            return ""
        return _HYPHEN.sub("", words.replace("\r\n", "\n")).strip()


def _hides(page: Any) -> bool:
    """Whether some text of the page is white or too small to see."""
    import ctypes

    import pypdfium2.raw as raw

    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    size = ctypes.c_float()
    matrix = raw.FS_MATRIX()
    for at in range(min(raw.FPDFPage_CountObjects(page), MAX_OBJECTS)):
        thing = raw.FPDFPage_GetObject(page, at)
        if raw.FPDFPageObj_GetType(thing) != raw.FPDF_PAGEOBJ_TEXT:
            continue
        colour = raw.FPDFPageObj_GetFillColor(thing, red, green, blue, alpha)
        if colour and (min(red.value, green.value, blue.value) >= _WHITE or alpha.value == 0):
            return True
        sized = raw.FPDFTextObj_GetFontSize(thing, size) and raw.FPDFPageObj_GetMatrix(thing, matrix)
        if sized and 0 < size.value * max(abs(matrix.d), abs(matrix.b)) < _TINY:
            return True
    return False


def _inspect(source: Source) -> bool:
    """Refuse bombs before they are opened; whether the file holds scripts, launches or attachments."""
    deepest = max((found.group(1).count(b"/") for found in _FILTERS.finditer(source.data)), default=0)
    if deepest > MAX_FILTERS:
        raise InputError(
            "E_DEPTH",
            f"{source.name} chains {deepest} filters (at most {MAX_FILTERS})",
            cure="print it to a new PDF",
        )
    active = _ACTIVE.search(source.data) is not None
    inflated = 0
    for found in _STREAM.finditer(source.data):
        if source.data[found.end() : found.end() + 1] not in (b"x", b"h", b"H", b"X"):
            continue
        size, scripts = _inflated(source.data, found.end())
        active = active or scripts
        inflated += size
        if size > MAX_STREAM or inflated > MAX_INFLATED:
            raise InputError(
                "E_RATIO",
                f"{source.name} inflates to more than {size >> 20} MB",
                cure="print it to a new PDF",
            )
    return active


def _inflated(data: bytes, start: int) -> tuple[int, bool]:
    """The size that a stream inflates to, counted without keeping it, and whether it names active content."""
    stream = zlib.decompressobj()
    size, active = 0, False
    piece = data[start : start + (1 << 16)]
    at = start + len(piece)
    try:
        while piece and size <= MAX_STREAM:
            out = stream.decompress(piece, 1 << 20)
            size += len(out)
            active = active or (size <= 1 << 20 and _ACTIVE.search(out) is not None)
            piece = stream.unconsumed_tail
            if not piece and not stream.eof:
                piece = data[at : at + (1 << 16)]
                at += len(piece)
    except zlib.error:
        pass  # damaged, or not deflated after all: the parser will say
    return size, active


def _cannot_open(name: str, reason: str) -> InputError:
    if "assword" in reason or "ecurity" in reason:
        return InputError("E_ENCRYPTED", f"{name} is protected by a password", cure="save a copy without it")
    return bad_format(f"{name} cannot be opened as PDF: {reason}", cure="print it to a new PDF")
