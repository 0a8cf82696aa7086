"""Source code: the text is the document, its classes and functions (tree-sitter) make the outline."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from fingerpost.compiler.decode import decode
from fingerpost.compiler.detect import CODE
from fingerpost.compiler.formats import Source
from fingerpost.records import Document, Section

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

MAX_PARSED_BYTES = 4_000_000
MAX_LINE_CHARACTERS = 200_000
MAX_SYMBOLS = 20_000
MAX_DEPTH = 8
_GRAMMARS = {"tsx": ("typescript", "language_tsx"), "typescript": ("typescript", "language_typescript")}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# nodes that are symbols, and nodes to look into without being symbols themselves
_SYMBOLS = _names(
    """
    function_definition class_definition function_declaration generator_function_declaration
    class_declaration method_definition method_declaration constructor_declaration interface_declaration
    enum_declaration abstract_class_declaration type_alias_declaration record_declaration type_spec
    function_item struct_item enum_item trait_item impl_item mod_item macro_definition struct_specifier
    class_specifier union_specifier enum_specifier namespace_definition internal_module
    """
)
_INSIDE = _names(
    """
    module program source_file translation_unit decorated_definition export_statement block class_body
    declaration_list field_declaration_list interface_body enum_body type_declaration
    template_declaration linkage_specification preproc_ifdef preproc_if preproc_else statement_block
    if_statement else_clause try_statement expression_statement lexical_declaration variable_declarator
    """
)
_LEAVES = _names(
    """
    function_definition function_declaration method_definition method_declaration function_item
    constructor_declaration generator_function_declaration macro_definition
    """
)
_WRAPPERS = frozenset(
    ("decorated_definition", "export_statement", "template_declaration", "type_declaration")
)
_parsers: dict[str, Parser] = {}


def parse(source: Source) -> Iterator[Document]:
    """One document, titled by its path; a symbol's section starts at its decorators."""
    text, flags = decode(source.data, source.name, declared=True)
    language = CODE.get(PurePosixPath(source.name).suffix.lower(), "python")
    sections: tuple[Section, ...] = ()
    if len(text) > MAX_PARSED_BYTES or _minified(text):
        flags = (*flags, "outline_skipped")
    else:
        sections = symbols(text, language)
    yield Document(
        "", text, title=source.name, media_type=f"text/x-{language}", sections=sections, flags=flags
    )


def _minified(text: str) -> bool:
    return len(text) > MAX_LINE_CHARACTERS and max(map(len, text.split("\n"))) > MAX_LINE_CHARACTERS


def symbols(text: str, language: str) -> tuple[Section, ...]:
    """Sections of kind ``symbol``, in reading order, nested as in the source.

    >>> [(s.title, s.level) for s in symbols("class A:\\n    def b(self): pass\\n", "python")]
    [('A', 1), ('b', 2)]
    """
    raw = text.encode("utf-8", "replace")
    root = _parser(language).parse(raw).root_node
    found: list[tuple[int, int, str, int]] = []
    stack: list[tuple[Node, int]] = [(root, 1)]
    while stack and len(found) < MAX_SYMBOLS:
        node, level = stack.pop()
        inner = _inner(node)
        if inner.type in _SYMBOLS and (name := _name(inner, raw)):
            found.append((node.start_byte, node.end_byte, name, level))
            level += 1
            if inner.type in _LEAVES:
                continue
        elif inner.type not in _INSIDE:
            continue
        if level <= MAX_DEPTH:
            stack += [(child, level) for child in reversed(_children(inner))]
    return _in_characters(found, raw, len(text))


def _inner(node: Node) -> Node:
    """The definition under its decorators, export or template."""
    for _ in range(3):
        if node.type not in _WRAPPERS:
            return node
        named = [child for child in node.named_children if child.type in _SYMBOLS or child.type in _WRAPPERS]
        if len(named) != 1:
            return node
        node = named[0]
    return node


def _children(node: Node) -> list[Node]:
    body = node.child_by_field_name("body") if node.type in _SYMBOLS else None
    return (body or node).named_children


def _name(node: Node, raw: bytes) -> str:
    named = node.child_by_field_name("type" if node.type == "impl_item" else "name")
    at = node.child_by_field_name("declarator")
    for _ in range(6):  # C: pointer and function declarators wrap the identifier
        if named is not None or at is None:
            break
        inner = at.child_by_field_name("declarator")
        named, at = (at, None) if inner is None else (None, inner)
    return (
        raw[named.start_byte : named.end_byte].decode("utf-8", "replace")[:120] if named is not None else ""
    )


def _in_characters(found: list[tuple[int, int, str, int]], raw: bytes, length: int) -> tuple[Section, ...]:
    """Byte offsets to character offsets, in one pass; a section starts at the beginning of its line."""
    line_starts = [raw.rfind(b"\n", 0, start) + 1 for start, _, _, _ in found]
    starts = [
        line if not raw[line:at].strip() else at
        for line, (at, _, _, _) in zip(line_starts, found, strict=True)
    ]
    places = sorted({*starts, *(end for _, end, _, _ in found)})
    if len(raw) == length:
        at = {place: place for place in places}
    else:
        at, last, count = {}, 0, 0
        for place in places:
            count += len(raw[last:place].decode("utf-8", "replace"))
            at[place], last = count, place
    return tuple(
        Section(at[start], at[end], name, level, "symbol")
        for start, (_, end, name, level) in zip(starts, found, strict=True)
    )


def _parser(language: str) -> Parser:
    if language not in _parsers:
        from tree_sitter import Language, Parser

        module, function = _GRAMMARS.get(language, (language, "language"))
        grammar = import_module(f"tree_sitter_{module}")
        _parsers[language] = Parser(Language(getattr(grammar, function)()))
    return _parsers[language]
