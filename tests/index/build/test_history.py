"""A short history of a folder, replayed by updates, against the same folder compiled from scratch.

The long form, over the dated histories of two documentations, is ``python -m bench.history``.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Callable
from pathlib import Path

from bench.history import documents, ranking, state

import fingerpost
from fingerpost.index.build import building
from fingerpost.index.progress import silent

WORDS_ONLY = fingerpost.Settings.model_validate(
    {
        "models": {"encoder": "none"},
        "store": {"fold_after": 40},
        "compile": {"chunk_tokens": 64, "min_chunk_tokens": 16},
    }
)
WORDS = [
    f"{a}{b}{c}" for a in "kmrst" for b in ("al", "ent", "ir", "oxi", "ul", "yst") for c in "bdfglnpvwzjq"
]
"""So many that a query of four matches few chunks: with more than `retrieve.depth` equal scores decide."""


class History:
    """Random events in a folder of pages and records; the same for a seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.choice = folder, random.Random(seed)
        self.records = {f"r{at}": self.prose(12) for at in range(5)}
        folder.mkdir()
        self.write_records()

    def prose(self, count: int) -> str:
        """Some words. Few lengths and few words: many chunks score alike."""
        count += self.choice.randrange(count // 2 + 1)
        return " ".join(self.choice.choices(WORDS, k=count))

    def page(self) -> str:
        return "\n\n".join(
            f"## {self.prose(2)}\n\n{self.prose(60)}" for _ in range(self.choice.randint(1, 3))
        )

    def write_records(self) -> Path:
        rows = [json.dumps({"_id": name, "text": text}) for name, text in self.records.items()]
        path = self.folder / "records.jsonl"
        path.write_text("\n".join(rows) + "\n")
        return path

    def event(self) -> list[Path]:
        """Change the folder; returns the paths that a user would name."""
        pages = sorted(self.folder.rglob("*.md"))
        kind = self.choice.choice(("add", "add", "add", "edit", "edit", "grow", "delete", "move", "records"))
        if kind == "records":
            self.records.pop(self.choice.choice(sorted(self.records)))
            self.records |= {f"r{self.choice.randrange(12)}": self.prose(12) for _ in range(2)}
            return [self.write_records()]
        if kind == "add" or not pages:
            path = self.folder / self.choice.choice(("a", "b/c", "b/d")) / f"p{self.choice.randrange(40)}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.page())
            return [path]
        path = self.choice.choice(pages)
        if kind == "delete":
            path.unlink()
        elif kind == "move":
            other = path.with_name(f"moved-{self.choice.randrange(10)}.md")
            path.rename(other)
            return [path, other]
        else:
            path.write_text(self.page() if kind == "edit" else f"{path.read_text()}\n\n{self.page()}")
        return [path]


def test_a_folder_updated_for_long_equals_one_compiled_anew(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    docs, same, asked = tmp_path / "docs", 0, 0
    history = History(docs, seed=5)
    before: dict[str, str] = {}
    with fingerpost.compile(docs, to=tmp_path / "grown", settings=WORDS_ONLY) as grown:
        for number in range(1, 121):
            report = grown.update(*history.event())
            assert report.rejections == ()
            if number % 40:
                continue
            grown.settle()
            assert int(grown.status()["generation"]) > number // 40, "folds came of themselves"
            building.fold(grown._rooms, silent)
            with fingerpost.compile(docs, to=tmp_path / f"new-{number}", settings=WORDS_ONLY) as new:
                assert documents(grown) == documents(new)
                assert state(grown) == state(new)
                texts = [history.prose(4) for _ in range(40)]
                same += sum(ranking(grown, text) == ranking(new, text) for text in texts)
                asked += len(texts)
            chunks = state(grown)
            assert not before or before.keys() & chunks.keys(), "chunk ids outlive updates"
            before = chunks
    record_property("trials", asked)
    assert same == asked, f"{same} of {asked} rankings are the same, scores and all"


def test_with_an_encoder_too_it_ranks_as_it_did_when_it_was_compiled(
    tiny_kb: Path, own_kb: Path, corpus: Path
) -> None:
    choice = random.Random(3)
    texts = [json.loads(line)["text"] for line in (corpus / "tickets.jsonl").read_text().splitlines()]
    asked = [" ".join(choice.sample(text.split(), 4)) for text in texts[:20]]
    asked += [page.stem.replace("-", " ") for page in sorted((corpus / "docs").rglob("*.md"))]
    with contextlib.chdir(corpus), fingerpost.open(own_kb, write=True) as grown:
        names = sorted(documents(grown))
        for _ in range(3):
            grown.delete(*choice.sample(names, len(names) // 2))
            grown.update(*choice.sample(["docs", "tickets.jsonl"], 2))
            building.fold(grown._rooms, silent)
        assert documents(grown) == set(names)
        with fingerpost.open(tiny_kb) as new:
            assert state(grown) == state(new)
            came, stood = (each._rooms.store.live().keys for each in (grown, new))
            assert came.max() > stood.max(), "some came anew"
            for text in asked:
                mine, theirs = ranking(grown, text), ranking(new, text)
                assert [name for name, _ in mine] == [name for name, _ in theirs]
                assert mine == theirs
