from __future__ import annotations

import random

from fingerpost.evaluate.datasets import QuestionSet
from fingerpost.evaluate.generate import candidates, from_pairs, generate
from fingerpost.records import Document, Pair, Section


def document(at: int) -> Document:
    return Document(
        f"d{at}",
        f"Chapter {at} explains how pump number {at} is serviced. More text follows here.",
        title=f"Pump {at}",
        sections=(Section(0, 5, "Oil change", 2), Section(6, 9, f"Pump {at}", 1)),
    )


DOCUMENTS = [document(at) for at in range(40)]


def test_a_document_gives_its_title_headings_and_first_sentence() -> None:
    assert [(pair.origin, pair.query) for pair in candidates(document(3))] == [
        ("generated:title", "Pump 3"),
        ("generated:heading", "Pump 3 Oil change"),
        ("generated:sentence", "Chapter 3 explains how pump number 3 is serviced."),
    ]


def test_scraps_give_no_question() -> None:
    assert list(candidates(Document("d", "ok\n\n#\n", title="x"))) == []
    assert list(candidates(Document("d", "", title="A " + "long " * 100))) == []


def test_questions_are_spread_over_the_kinds_and_marked() -> None:
    made = generate(DOCUMENTS, 30)
    assert len(made.queries) == 30
    assert made.generated
    assert "10 from headings, 10 from sentences, 10 from titles" in made.notes[0]
    assert all(text and len(made.qrels[query_id]) == 1 for query_id, text in made.queries.items())


def test_the_order_of_the_documents_changes_nothing_and_the_seed_does() -> None:
    shuffled = DOCUMENTS[:]
    random.Random(1).shuffle(shuffled)
    assert generate(shuffled, 20) == generate(DOCUMENTS, 20)
    assert generate(DOCUMENTS, 20, seed=1).queries != generate(DOCUMENTS, 20).queries


def test_one_question_of_several_documents_has_them_all() -> None:
    twins = [Document(f"d{at}", "", title="Release notes") for at in range(3)]
    made = generate(twins, 10)
    assert list(made.queries.values()) == ["Release notes"]
    assert made.qrels["g1"] == {"d0": 1, "d1": 1, "d2": 1}


def test_pairs_made_elsewhere_are_marked_too() -> None:
    made = from_pairs([Pair("How is it oiled?", "d1", origin="generated:model")])
    assert isinstance(made, QuestionSet)
    assert made.generated
