"""What an index says about access, and what the settings of who opens it say: the stricter holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

import fingerpost
from fingerpost.config import Settings, parse
from fingerpost.errors import ConfigError, FingerprintError, NotFoundError

PLAIN = {"encoder": "none"}


def settings(**store: object) -> Settings:
    return Settings.model_validate({"models": PLAIN, "store": store})


def made(folder: Path, chosen: Settings) -> Path:
    """One document with a label, and one without."""
    records = [
        {"_id": "open", "text": "zebra foal"},
        {"_id": "shut", "text": "zebra mare", "labels": ["ops"]},
    ]
    (folder / "c.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    fingerpost.compile(folder / "c.jsonl", to=folder / "kb", settings=chosen).close()
    return folder / "kb"


def seen(kb: Path, chosen: Settings | None, *principals: str) -> set[str]:
    with fingerpost.open(kb, settings=chosen) as index:
        return {span.doc_id for span in index.search("zebra", principals=principals)}


def test_documents_without_labels_can_be_hidden_in_an_index_that_is_there(tmp_path: Path) -> None:
    """The setting used to count when the index was made, and to be passed over in silence ever after."""
    kb = made(tmp_path, settings(unlabelled="visible"))
    assert seen(kb, None, "ops") == seen(kb, settings(), "ops") == {"open", "shut"}
    shut = settings(unlabelled="hidden")
    assert seen(kb, shut, "ops") == {"shut"}
    assert seen(kb, shut) == set()
    with fingerpost.open(kb, settings=shut, as_of=1) as index:
        assert index.search("zebra", principals=["ops"])[0].doc_id == "shut"
        assert len(index.search("zebra", principals=["ops"])) == 1


@pytest.mark.parametrize(
    "chosen", [None, settings(), settings(unlabelled="visible"), settings(unlabelled="until-labels")]
)
def test_what_an_index_hides_no_settings_show(chosen: Settings | None, tmp_path: Path) -> None:
    kb = made(tmp_path, settings(unlabelled="hidden"))
    assert seen(kb, chosen, "ops") == {"shut"}


def test_the_default_hides_once_there_are_labels(tmp_path: Path) -> None:
    """The first ``update`` with labels says so; deleting them opens nothing; no settings lift it."""
    records = tmp_path / "c.jsonl"
    records.write_text(json.dumps({"_id": "open", "text": "zebra foal"}))
    fingerpost.compile(
        records, to=tmp_path / "kb", settings=Settings.model_validate({"models": PLAIN})
    ).close()
    kb, later = tmp_path / "kb", tmp_path / "d.jsonl"
    assert seen(kb, None) == {"open"}
    later.write_text(json.dumps({"_id": "shut", "text": "zebra mare", "labels": ["ops"]}))
    with fingerpost.open(kb) as reader, fingerpost.open(kb, write=True) as index:
        assert reader.status()["unlabelled"] == (
            "until-labels: no document has borne labels, everybody finds all"
        )
        assert reader.search("zebra")
        assert "first access labels" in index.update(later).notes[-1]
        assert not reader.search("zebra")
        assert index.update(later).notes == ()
        told = "until-labels: nobody finds 1 document without labels"
        assert reader.status()["unlabelled"] == index.status()["unlabelled"] == told
        index.delete("shut")
        assert not reader.search("zebra")
        assert not index.search("zebra", principals=["ops"])
        with pytest.raises(NotFoundError):
            reader.document("open", principals=["ops"])
    for chosen in (None, settings(), settings(unlabelled="visible"), settings(isolation="strict")):
        assert seen(kb, chosen, "ops") == set()
    with fingerpost.open(kb, as_of=1) as past:
        assert not past.search("zebra", principals=["ops"])
    assert fingerpost.doctor(kb, repair=True) == []
    assert seen(kb, None, "ops") == set()


@pytest.mark.parametrize("rule", ["until-labels", "hidden"])
def test_a_laxer_rule_is_said_not_to_count(rule: str, tmp_path: Path) -> None:
    """It was passed over in silence, by who writes and by who asks for the status."""
    kb, lax = made(tmp_path, settings(unlabelled=rule)), settings(unlabelled="visible")
    with fingerpost.open(kb, settings=lax, write=True) as index:
        [note] = index.update(tmp_path / "c.jsonl").notes
        assert f"'visible' in the settings does not count: the index was made with {rule!r}" in note
        assert "compile into a new folder" in note
        assert note in str(index.status()["unlabelled"])
    for chosen in (None, settings(), settings(unlabelled=rule), settings(unlabelled="hidden")):
        with fingerpost.open(kb, settings=chosen, write=True) as index:
            assert index.update(tmp_path / "c.jsonl").notes == ()
            assert "does not count" not in str(index.status()["unlabelled"])
    new = tmp_path / "new"
    with fingerpost.compile(tmp_path / "c.jsonl", to=new, settings=lax) as index:
        assert index.report.notes == ()
    assert seen(new, None) == {"open"}, "the cure helps"


def test_the_name_of_before_is_refused_with_the_one_of_today() -> None:
    with pytest.raises(ConfigError, match="unlabelled_visible") as caught:
        parse("[store]\nunlabelled_visible = false")
    assert "store.unlabelled" in caught.value.cure


@pytest.mark.parametrize(
    ("index", "opener", "strict"),
    [("strict", "shared", True), ("shared", "strict", True), ("shared", "shared", False)],
)
def test_isolation_is_not_lifted_by_who_opens_an_index(
    index: str, opener: str, strict: bool, tmp_path: Path
) -> None:
    kb = made(tmp_path, settings(isolation=index))
    with fingerpost.open(kb, settings=settings(isolation=opener)) as opened:
        assert (opened._rooms.settings.store.isolation == "strict") is strict
        assert (opened.trace("zebra")[1].generation == 0) is strict


@pytest.mark.parametrize("other", [{"compile": {"context": False}}, {"store": {"late": False}}])
def test_two_kinds_of_chunks_are_not_mixed(other: Mapping[str, object], tmp_path: Path) -> None:
    """Both settings used to be passed over when an index that is there was compiled again, or worse."""
    kb = made(tmp_path, settings())
    changed = Settings.model_validate({"models": PLAIN, **other})
    with pytest.raises(FingerprintError, match="was made with"):
        fingerpost.compile(tmp_path / "c.jsonl", to=kb, settings=changed)
    with (
        fingerpost.open(kb, write=True, settings=changed) as index,
        pytest.raises(FingerprintError, match="was made with"),
    ):
        index.update(tmp_path / "c.jsonl")
    assert seen(kb, changed, "ops") == {"shut"}
