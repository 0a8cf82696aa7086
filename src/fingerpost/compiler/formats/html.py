"""HTML: the text as a reader would see it, headings as outline, links by their places. Nothing is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fingerpost.compiler.decode import decode
from fingerpost.compiler.formats import Source
from fingerpost.compiler.outline import Mark, enclose
from fingerpost.errors import InputError
from fingerpost.records import Document, Section


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


MAX_DEPTH = 1_000
MAX_LINKS = 500
_DROPPED = _names(
    "script style template noscript iframe object embed applet canvas audio video math head svg"
)
_ACTIVE = _names("script iframe object embed applet")
_BLOCKS = _names(
    """
    address article aside blockquote body center dd details dialog dir div dl dt fieldset figcaption figure
    footer form h1 h2 h3 h4 h5 h6 header hr html legend li main menu nav ol optgroup option p pre section
    summary table tbody tfoot thead tr ul caption
    """
)
_HEADINGS = {f"h{n}": n for n in range(1, 7)}
_IMPLIED = b"p li dt dd tr td th thead tbody tfoot option optgroup colgroup rb rt rp"
_VOID = b"area base br col embed hr img input link meta param source track wbr"
_SHALLOW = frozenset(_IMPLIED.split()) | frozenset(_VOID.split())
_TAG = re.compile(rb"<(/?)([A-Za-z][A-Za-z0-9]{0,15})")
_UNSEEN = re.compile(
    r"(?i)display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?![.\d])|font-size\s*:\s*0(?:\.\d+)?(?:px|pt|em|%|;|$)"
)
_REMARK = re.compile(r"(?:[A-Za-z]{2,}[\s,.]+){4}")
_SPACE = re.compile(r"\s+")


def parse(source: Source) -> Iterator[Document]:
    """One document. What a page hides (display:none and the like) is left out and flagged ``hidden_text``."""
    _check_depth(source.data, source.name)
    text, flags = decode(source.data, source.name, declared=True)
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(text)
    page = _Page()
    if tree.root is not None:
        page.walk(tree.root)
    body = page.text()
    if not body.strip():
        raise InputError("E_EMPTY", f"{source.name} shows no text", cure="leave it out")
    named = tree.css_first("title")
    title = _SPACE.sub(" ", named.text()).strip() if named is not None else ""
    title = title or next((mark.title for mark in page.marks if mark.level == 1), "")
    flags = (
        *flags,
        *(("hidden_text",) if page.hidden else ()),
        *(("has_active_content",) if page.active else ()),
    )
    outline = enclose(page.marks, len(body)) + tuple(link for link in page.links if link.end <= len(body))
    yield Document("", body, title=title, media_type="text/html", sections=outline, flags=flags)


def _check_depth(data: bytes, name: str) -> None:
    """Refuse towers of elements before a tree is built: its builder walks them again and again."""
    depth = deepest = 0
    for match in _TAG.finditer(data):
        if match.group(2).lower() not in _SHALLOW:
            depth = max(0, depth + (-1 if match.group(1) else 1))
            deepest = max(deepest, depth)
    if deepest > 4 * MAX_DEPTH:
        raise InputError("E_DEPTH", f"{name} nests elements {deepest} deep", cure="leave it out")


class _Page:
    """The visible text, written while walking the tree."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self.links: list[Section] = []
        self.hidden = False
        self.active = False
        self._parts: list[str] = []
        self._length = 0
        self._open: list[int] = []  # where headings and anchors began

    def text(self) -> str:
        return "".join(self._parts).rstrip()

    def walk(self, root: Any) -> None:
        """Depth first with an explicit stack of (node, leaving, preformatted)."""
        stack: list[tuple[Any, bool, bool]] = [(root, False, False)]
        while stack:
            node, leaving, raw = stack.pop()
            tag = node.tag
            if leaving:
                self._leave(node, tag)
            elif tag == "-text":
                self._write(node.text_content or "", raw)
            elif tag == "-comment":
                self.hidden = self.hidden or _REMARK.search((node.comment_content or "")[:2_000]) is not None
            elif self._shown(node, tag):
                self._enter(tag)
                inner = raw or tag in ("pre", "textarea")
                stack.append((node, True, raw))
                stack += [(child, False, inner) for child in reversed(_children(node))]

    def _shown(self, node: Any, tag: str) -> bool:
        if tag in _DROPPED:
            self.active = self.active or tag in _ACTIVE
            return False
        attributes = node.attributes
        if not attributes:
            return True
        self.active = self.active or any(key.startswith("on") for key in attributes)
        style = attributes.get("style") or ""
        if "hidden" in attributes or (style and _UNSEEN.search(style)):
            self.hidden = True
            return False
        self.hidden = self.hidden or attributes.get("aria-hidden") == "true"
        return True

    def _enter(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._break(2 if tag in _HEADINGS or tag in ("p", "table", "ul", "ol", "pre", "section") else 1)
        if tag == "li":
            self._add("- ")
        elif tag == "br":
            self._add("\n")
        elif tag in ("td", "th") and self._parts and not self._parts[-1].endswith("\n"):
            self._add(" | ")
        if tag in _HEADINGS or tag == "a":
            self._open.append(self._length)

    def _leave(self, node: Any, tag: str) -> None:
        if tag in _HEADINGS or tag == "a":
            start = self._open.pop()
            words = self._since(start)
            if tag in _HEADINGS and words.strip():
                self.marks.append(Mark(start, words, _HEADINGS[tag]))
            elif (
                words.strip()
                and len(self.links) < MAX_LINKS
                and _is_link(href := node.attributes.get("href") or "")
            ):
                self.links.append(Section(start, self._length, href[:500], 99, "link"))
        if tag in _BLOCKS:
            self._break(2 if tag in _HEADINGS or tag in ("p", "table", "ul", "ol", "pre", "section") else 1)

    def _since(self, start: int) -> str:
        parts: list[str] = []
        length = self._length
        for part in reversed(self._parts):
            if length <= start:
                break
            parts.append(part)
            length -= len(part)
        return "".join(reversed(parts))[:2_000]

    def _write(self, text: str, raw: bool) -> None:
        if not raw:
            text = _SPACE.sub(" ", text)
            if not self._parts or self._parts[-1].endswith((" ", "\n")):
                text = text.lstrip(" ")
        self._add(text)

    def _break(self, lines: int) -> None:
        """At least this many line breaks, none at the very beginning."""
        if not self._parts:
            return
        tail = "".join(self._parts[-3:])[-3:]
        have = len(tail) - len(tail.rstrip("\n"))
        if have < lines:
            self._add("\n" * (lines - have))

    def _add(self, text: str) -> None:
        if text:
            self._parts.append(text)
            self._length += len(text)


def _children(node: Any) -> list[Any]:
    children = []
    child = node.child
    while child is not None:
        children.append(child)
        child = child.next
    if len(children) > 1_000_000:
        raise InputError("E_TOO_MANY", f"an element with {len(children)} children", cure="split the page")
    return children


def _is_link(href: str) -> bool:
    return bool(href) and not href.lower().lstrip().startswith(
        ("javascript:", "data:", "vbscript:", "#", "mailto:")
    )
