"""Two worlds, alike but for documents that a caller may not read: what the caller gets must not tell which.

Compared byte for byte, times left out: search, trace, ask, explain, route, document, errors. The positive
control is the shared mode, whose statistics count hidden documents: it must fail where strict does not.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from tests.seeds import seeds

import fingerpost
from fingerpost.errors import FingerpostError
from fingerpost.index import Index
from fingerpost.models.encoder import Encoder
from fingerpost.store import bm25
from fingerpost.text.query import parse
from fingerpost.text.tokens import analyze, codes

WORDS = ["amber", "basalt", "cedar", "delta", "ember", "fjord", "granite", "harbor", "island", "jasper"]
SECRET = ["heron", "merger", "initech", "layoff", "falcon"]
CALLERS: list[tuple[str, ...]] = [(), ("team:a",), ("team:a", "team:b"), ("nobody",)]
TEAMS = [f"team:{letter}" for letter in "abcdef"]
TWENTY = [
    *CALLERS,
    *((team,) for team in TEAMS[1:]),
    *(("user:x", team) for team in TEAMS),
    *(tuple(TEAMS[:many]) for many in range(3, 7)),
    ("team:f", "nobody", "team:c"),
]

Record = dict[str, object]

REQUESTS = 11
"""What ``told`` asks for each query and caller, at least."""


def record(name: str, words: list[str], seed: int, labels: list[str] | None) -> Record:
    choice = random.Random(seed)
    text = f"The {choice.choice(words)} of {name} and the code E{seed % 40:04d}: "
    text += " ".join(choice.choices(words, k=choice.randint(8, 60))) + "."
    kept: Record = {"_id": name, "text": text, "size": seed}
    return kept if labels is None else kept | {"labels": labels}


def write(path: Path, *, hidden: bool, first: int, count: int, salt: int) -> Path:
    """Open, restricted and (in the other world) hidden records, mixed."""
    lines: list[Record] = []
    for seed in range(first, first + count):
        labels = [None, ["team:a"], ["team:b"], None, None, [TEAMS[seed % 5 + 1]]][seed % 6]
        lines.append(record(f"note{seed}", WORDS, salt + seed, labels))
        if hidden:
            lines.append(record(f"secret{seed}", WORDS + SECRET, salt + 9_000 + seed, ["group:board"]))
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


def build(world: Path, *, hidden: bool, size: int, salt: int = 0, unlabelled: str = "visible") -> Path:
    """A folded index with a tail: changed, new and deleted documents on both sides of the fold. Every world
    is made in the same place from files of the same date, because documents tell where they came from.
    """
    folder = world.with_name("here")
    folder.mkdir()
    source, later = folder / "notes.jsonl", folder / "later.jsonl"
    made = write(source, hidden=hidden, first=0, count=size, salt=salt)
    settings = fingerpost.Settings.model_validate({"store": {"unlabelled": unlabelled}})
    with fingerpost.compile(made, to=folder / "kb", settings=settings) as index:
        index.update(write(later, hidden=hidden, first=size - 4, count=12, salt=salt))
        index.delete("note3")
        if hidden:
            index.delete("secret3")
            more = write(folder / "more.jsonl", hidden=True, first=size + 20, count=1, salt=salt)
            index.update(more)
            index.delete(f"note{size + 20}")
    return folder.rename(world) / "kb"


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Without and with hidden documents."""
    folder = tmp_path_factory.mktemp("worlds")
    return build(folder / "one", hidden=False, size=60), build(folder / "two", hidden=True, size=60)


def opened(kb: Path, isolation: str) -> Index:
    with fingerpost.open(kb) as index:
        tree = index._rooms.settings.model_dump(mode="python")
    tree["store"]["isolation"] = isolation
    return fingerpost.open(kb, settings=fingerpost.Settings.model_validate(tree))


def plain(value: object) -> object:
    """A record as JSON without its times."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items() if name != "ms"}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return "" if isinstance(value, str) and value.endswith(" ms") else value


def told(index: Index, query: str, caller: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Everything that a caller can get out of an index for one query."""
    spans, trace = index.trace(query, principals=caller)
    yield "spans", dump([asdict(span) for span in spans])
    yield "trace", dump(asdict(trace))
    yield "filtered", attempt(lambda: index.trace(query, filters=["size:>=20"], principals=caller))
    if len(caller) < 2:  # sentences are encoded one by one
        yield "ask", dump(asdict(index.ask(query, principals=caller)))
    yield "explain", dump(asdict(index.explain(query, principals=caller)))
    yield "route", dump(asdict(index.route(query, principals=caller)))
    for name in ("secret5", "note3", "note7"):
        yield f"document {name}", attempt(lambda name=name: index.document(name, principals=caller))
        yield (
            f"explain {name}",
            attempt(lambda name=name: index.explain(query, doc_id=name, principals=caller)),
        )
    yield "filter error", attempt(lambda: index.search(query, filters=["sizes:1"], principals=caller))


def attempt(call: object) -> str:
    try:
        found = call()  # type: ignore[operator]
        return dump([asdict(each) for each in found[0]] if isinstance(found, tuple) else asdict(found))
    except FingerpostError as error:
        return f"{error} {error.cure} {error.detail}"


def dump(value: object) -> str:
    return json.dumps(plain(value), default=str, sort_keys=True)


def queries(count: int, *, seed: int = 0) -> list[str]:
    choice = random.Random(seed)
    asked = ["project heron merger", "E0005", "what is the amber of note7?", "falcon", "the amber"]
    return [
        *asked,
        *(
            " ".join(choice.choices(WORDS + SECRET, k=choice.randint(1, 6)))
            for _ in range(count - len(asked))
        ),
    ]


def differences(
    worlds: tuple[Path, Path],
    isolation: str,
    *,
    asked: list[str],
    callers: list[tuple[str, ...]] = CALLERS,
) -> list[str]:
    """Names of the outputs that tell the worlds apart, one for each time."""
    found = []
    with opened(worlds[0], isolation) as one, opened(worlds[1], isolation) as two:
        for query in asked:
            for caller in callers:
                pairs = zip(told(one, query, caller), told(two, query, caller), strict=True)
                found += [name for (name, here), (_, there) in pairs if here != there]
    return found


def test_strict_isolation_tells_nothing(
    worlds: tuple[Path, Path], record_property: Callable[[str, object], None]
) -> None:
    record_property("trials", REQUESTS * len(CALLERS) * 7)
    assert differences(worlds, "strict", asked=queries(7)) == []


def test_documents_without_labels_are_hidden_without_a_trace(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """By the default rule: half of the open documents are then among what must not be told of."""
    record_property("trials", REQUESTS * len(CALLERS) * 5)
    worlds = (
        build(tmp_path / "one", hidden=False, size=60, unlabelled="until-labels"),
        build(tmp_path / "two", hidden=True, size=60, unlabelled="until-labels"),
    )
    assert differences(worlds, "strict", asked=queries(5)) == []
    with opened(worlds[1], "strict") as index:
        assert not index.search("the amber")
        assert index.search("the amber", principals=["team:a"])


def test_shared_statistics_do_tell(
    worlds: tuple[Path, Path], record_property: Callable[[str, object], None]
) -> None:
    """The control: the same comparison sees scores that hidden documents moved, but never their text."""
    record_property("control", "statistics of all documents")
    found = differences(worlds, "shared", asked=queries(3))
    assert {"spans", "trace", "explain"} <= set(found)
    exact = {"document secret5", "document note3", "document note7", "explain secret5", "filter error"}
    assert not exact & set(found)
    with opened(worlds[1], "shared") as index:
        for query in queries(5):
            for caller in CALLERS:
                outputs = dict(told(index, query, caller))
                del outputs["document secret5"], outputs["explain secret5"]  # they repeat the id asked for
                assert not [name for name, text in outputs.items() if "secret" in text]


def test_who_holds_the_label_finds_in_both_modes(worlds: tuple[Path, Path]) -> None:
    for isolation in ("shared", "strict"):
        with opened(worlds[1], isolation) as index:
            assert index.search("heron merger", principals=["group:board"])[0].doc_id.startswith("secret")


@pytest.fixture
def encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text is encoded once for both worlds and all callers: an encoder sees no index, and the same text
    always gives the same bytes.
    """
    known: dict[object, object] = {}
    encode = Encoder._encode

    def remembered(self: Encoder, text: str, *, prefix: str, tokens: bool) -> object:
        key = self.fingerprint, text, prefix, tokens
        if key not in known:
            known[key] = encode(self, text, prefix=prefix, tokens=tokens)
        return known[key]

    monkeypatch.setattr(Encoder, "_encode", remembered)


@pytest.mark.slow
@pytest.mark.usefixtures("encoded_once")
@pytest.mark.parametrize("seed", seeds(1, 6))
def test_two_thousand_requests_of_twenty(
    tmp_path: Path, seed: int, record_property: Callable[[str, object], None]
) -> None:
    """Four hundred in each of five pairs of worlds."""
    asked = queries(37, seed=seed)
    record_property("seed", seed)
    record_property("trials", REQUESTS * len(TWENTY) * len(asked))
    worlds = (
        build(tmp_path / "one", hidden=False, size=300, salt=100_000 * seed),
        build(tmp_path / "two", hidden=True, size=300, salt=100_000 * seed),
    )
    assert differences(worlds, "strict", asked=asked, callers=TWENTY) == []


def test_strict_bm25_is_bm25_over_what_may_be_seen(worlds: tuple[Path, Path]) -> None:
    with opened(worlds[1], "strict") as index:
        for caller in CALLERS:
            for text in queries(10):
                found = fingerpost.index.facade.searching.find(
                    index._rooms, fingerpost.index.facade.Request(text, (), caller)
                ).snapshot
                keys, scores = found.lexical(parse(text), k=1_000)
                seen = index._rooms.store.snapshot()
                expected = by_hand(seen, seen.keys(allow=seen.allow(None, caller)), text)
                assert dict(zip(keys.tolist(), scores.tolist(), strict=True)) == pytest.approx(
                    expected,
                    rel=2**-14,  # BM25's scores are rounded to 14 bits
                )


def by_hand(snapshot: object, keys: np.ndarray, text: str) -> dict[int, float]:
    """BM25 by its formula, over these chunks alone."""
    chunks = snapshot.chunks(keys)  # type: ignore[attr-defined]
    said, own = [chunk.passage for chunk in chunks], [chunk.own for chunk in chunks]
    query, total = parse(text), {int(key): 0.0 for key in keys}
    body, named = (query.terms, analyze, said, 1.0), (query.codes, codes, own, bm25.CODE_BOOST)
    for wanted, split, texts, boost in (body, named):
        cut = [split(text) for text in texts]
        average = sum(map(len, cut)) / max(len(cut), 1)
        for term in wanted:
            idf = bm25.idf(len(cut), sum(term in words for words in cut))
            for key, words in zip(keys.tolist(), cut, strict=True):
                tf, length = words.count(term), bm25.quantized(len(words))
                norm = bm25.K1 * (1 - bm25.B + bm25.B * length / max(average, 1e-9))
                total[key] += boost * idf * tf * (bm25.K1 + 1) / (tf + norm)
    return {key: score for key, score in total.items() if score > 0}
