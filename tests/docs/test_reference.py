"""The generated pages are up to date, and nothing a user can meet is missing from them."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer.main

from fingerpost import config, errors
from fingerpost.cli.app import app
from fingerpost.cli.reference import pages

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
PAGES = pages(typer.main.get_command(app))


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_page_is_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name], "run `fingerpost docs`"


def test_every_code_and_key_is_there() -> None:
    text = "".join(PAGES.values())
    assert not [code for code in errors.CODES if f"`{code}`" not in text]
    assert not [
        key
        for key in config.known_keys()
        if f"`{key.rpartition('.')[2]}`" not in text and f"## {key}" not in text
    ]
