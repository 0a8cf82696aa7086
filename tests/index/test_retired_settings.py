"""An index made by an earlier version keeps settings that have been retired since: it opens all the same."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

import fingerpost
from fingerpost.config import RETIRED, Settings, parse
from fingerpost.errors import ConfigError
from fingerpost.store.digest import digest


def test_an_index_with_retired_settings_opens_and_keeps_the_others(tmp_path: Path) -> None:
    records, kb = tmp_path / "c.jsonl", tmp_path / "kb"
    records.write_text(json.dumps({"_id": "a", "text": "zebra foal"}))
    chosen = Settings.model_validate({"models": {"encoder": "none"}, "rerank": {"depth": 51}})
    fingerpost.compile(records, to=kb, settings=chosen).close()
    with sqlite3.connect(kb / "ledger.db") as ledger:
        ((text,),) = ledger.execute("SELECT value FROM meta WHERE name = 'settings'").fetchall()
        tree = json.loads(text)
        for section, _, key in (name.partition(".") for name in RETIRED):
            tree[section][key] = 0.4
        row = json.dumps(tree), digest("settings", json.dumps(tree))
        ledger.execute("UPDATE meta SET value = ?, record = ? WHERE name = 'settings'", row)
    ledger.close()
    with fingerpost.open(kb, write=True) as index:
        assert [span.doc_id for span in index.search("zebra")] == ["a"]
        assert index._rooms.settings.rerank.depth == 51
    assert fingerpost.doctor(kb) == []


@pytest.mark.parametrize("name", RETIRED)
def test_a_file_that_names_one_is_told_what_took_its_place(name: str) -> None:
    section, _, key = name.partition(".")
    with pytest.raises(ConfigError, match=f"unknown key '{name}'") as caught:
        parse(f"[{section}]\n{key} = 0.4")
    assert caught.value.cure == RETIRED[name]
