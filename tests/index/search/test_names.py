"""Names in real searches: how a document is called, names among other words, and long queries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import fingerpost
from fingerpost.config import Settings, parse
from fingerpost.index import Index

WORDS = ("red", "blue", "green", "north", "south", "east", "west", "lower", "upper", "inner", "outer")
WORDS_ONLY = parse('[models]\nencoder = "none"')


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tickets that name one another, a log with hundreds of codes, a deep path, prose beside them."""
    folder = tmp_path_factory.mktemp("names")
    records = [
        {
            "_id": f"PROJ-{at}",
            "title": f"Export {at} stops",
            "text": f"A duplicate of PROJ-{at - 1}. See that.",
        }
        for at in range(200, 240)
    ]
    records += [
        {"_id": f"M-{at}", "text": "As told in PROJ-220, and PROJ-220 again: PROJ-220."} for at in range(30)
    ]
    title = f"The nightly export of the ledger {'again and again ' * 40} ends with LEDGER_TAIL_9981"
    records.append({"_id": "LONG-1", "title": title, "text": "It says nothing of that here."})
    (folder / "tickets.jsonl").write_text("\n".join(map(json.dumps, records)))
    lines = [
        f"2026-11-02T10:00:{at % 60:02d}Z ERROR code=E{70_000 + 7 * at} req-{at:04x}" for at in range(400)
    ]
    (folder / "app.log").write_text("\n".join(lines))
    written = ["foo->bar", "$_GET['id']", "Vec<Option<u8>>", "<init>", "operator<<"]
    for at, code in enumerate((*written, *(f"{code[:-1]}z" for code in written))):
        (folder / f"sign{at}.md").write_text(f"The export of part {at} met {code} in the night.\n")
    calls = "\n".join(
        f'def close_{at}(book):\n    """{"Close the books of the month. " * 40}"""\n'
        f"    ledger.settle_ledger(book)\n    settle_ledger(book, {at})\n"
        for at in range(3)
    )
    (folder / "ledger.py").write_text(f"def settle_ledger(book, at=0):\n    return book\n\n\n{calls}")
    limits = [*(f"{word.upper()}_LIMIT = {at}" for at, word in enumerate(WORDS)), "EXPORT_LIMIT = 40"]
    (folder / "limits.py").write_text("\n".join(limits))
    for at in range(6):
        (folder / f"export{at}.md").write_text(
            f"# What does export_limit do, and where is it set?\n\nexport_limit is set to {at} here; "
            "export_limit limits exports to what export_limit says.\n"
        )
        (folder / f"settle{at}.md").write_text(
            f"# Where is it defined that we settle, and who calls?\n\nTo settle the ledger, ask desk {at}. "
            "What is wrong with a ledger that we settle is defined by who calls.\n"
        )
    deep = folder / "services/billing/infrastructure/persistence/implementation/very/deep/below/another"
    deep.mkdir(parents=True)
    (deep / "customer_account_repository.py").write_text(
        "class CustomerAccountRepository:\n    def find(self):\n        return 1\n"
    )
    questions = [
        f"# What does part {at} do?\n\nWhat it does, and why it does that, is told here.\n"
        for at in range(60)
    ]
    for at, text in enumerate(questions):
        (folder / f"part{at}.md").write_text(text)
    return folder


@pytest.fixture(scope="module", params=["words", "vectors"])
def index(
    request: pytest.FixtureRequest, tickets: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Index]:
    settings = WORDS_ONLY if request.param == "words" else Settings()
    with fingerpost.compile(tickets, to=tmp_path_factory.mktemp("kb") / "kb", settings=settings) as opened:
        yield opened


@pytest.mark.parametrize("key", ["PROJ-205", "PROJ-220", "proj-231", '"PROJ-239"'])
def test_a_ticket_is_found_by_its_key_before_those_that_mention_it(index: Index, key: str) -> None:
    assert index.search(key)[0].doc_id == key.strip('"').upper()


def test_the_end_of_a_long_title_is_not_lost(index: Index) -> None:
    span = index.search("LEDGER_TAIL_9981")[0]
    assert span.doc_id == "LONG-1"
    assert "LEDGER_TAIL_9981" in span.text


def test_a_file_is_found_by_its_path_and_by_the_end_of_it(index: Index, tickets: Path) -> None:
    [path] = [str(one.relative_to(tickets)) for one in tickets.rglob("customer*.py")]
    assert index.search(path)[0].doc_id == path
    assert index.search("another/customer_account_repository.py")[0].doc_id == path


@pytest.fixture(scope="module", params=["words", "vectors"])
def without_context(
    request: pytest.FixtureRequest, tickets: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Index]:
    encoder = 'encoder = "none"' if request.param == "words" else ""
    settings = parse(f"[compile]\ncontext = false\n[models]\n{encoder}")
    with fingerpost.compile(tickets, to=tmp_path_factory.mktemp("bare") / "kb", settings=settings) as opened:
        yield opened


def test_what_a_document_is_called_is_found_without_context_too(
    without_context: Index, tickets: Path
) -> None:
    [path] = [str(one.relative_to(tickets)) for one in tickets.rglob("customer*.py")]
    for query in (path, "another/customer_account_repository.py", f"who wrote {path} and why?"):
        assert without_context.search(query)[0].doc_id == path
    for query in ("PROJ-239", "what became of PROJ-239?"):
        assert without_context.search(query)[0].doc_id == "PROJ-239"
    assert without_context.doctor() == []


@pytest.mark.parametrize(
    "question", ["what does {} do?", "why do I get {} after the update?", "{} part what does"]
)
def test_what_alone_holds_a_name_comes_first_among_other_words(index: Index, question: str) -> None:
    for code in ("E70007", "E71400", "E72786", "req-00ff"):
        span = index.search(question.format(code))[0]
        assert span.doc_id == "app.log"
        assert sum(span.parts.values()) == pytest.approx(span.score, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("question", ["where is {} defined and who calls it?", "why is {} wrong?"])
def test_a_name_of_one_document_brings_its_passages_first(index: Index, question: str) -> None:
    """It stands in several passages of a module, but in no other document."""
    for name in ("settle_ledger", "ledger.settle_ledger"):
        spans = index.search(question.format(name), k=3)
        assert spans[0].doc_id == "ledger.py"
        assert "settle_ledger" in spans[0].text


@pytest.mark.parametrize("question", ["where is {} set and to what?", "what does {} do?"])
def test_a_constant_is_found_in_its_own_letters(index: Index, question: str) -> None:
    assert index.search(question.format("EXPORT_LIMIT"))[0].doc_id == "limits.py"
    spans = index.search(question.format("export_limit"), k=3)
    assert all("exact" not in span.parts for span in spans), "in small letters it is one of several"


@pytest.mark.parametrize("code", ["foo->bar", "$_GET['id']", "Vec<Option<u8>>", "<init>", "operator<<"])
@pytest.mark.parametrize("question", ["{}", " {} "])
def test_what_has_the_signs_of_code_is_found_as_it_is_written(index: Index, code: str, question: str) -> None:
    [span, *_] = index.search(question.format(code))
    assert code in span.text


def test_what_was_not_read_of_a_long_query_is_told(index: Index) -> None:
    _, trace = index.trace(" ".join(f"word{at}" for at in range(500)))
    notes = {stage.name: stage.note for stage in trace.stages}
    assert "64 rarest of" in notes["retrieve"]
    if index._rooms.encoder is not None:
        assert "word pieces are read" in notes["encode"]
    _, trace = index.trace("a short one")
    assert not {stage.name: stage.note for stage in trace.stages}["encode"]
