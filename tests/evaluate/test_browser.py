"""The report in a real browser: at a phone's and a desk's width, light and dark, nothing runs out of view."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fingerpost.evaluate.attribute import CAUSES, Miss
from fingerpost.evaluate.fidelity import Fidelity
from fingerpost.evaluate.freshness import Change, freshness
from fingerpost.evaluate.measures import parse
from fingerpost.evaluate.page import Latency, Lost, page
from fingerpost.evaluate.report import Evaluation

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FRAME = """<!DOCTYPE html><html><body style="margin:0">
<iframe id="f" src="report.html" style="border:0;width:{width}px;height:40000px"></iframe><script>
onload = () => {{
  const page = document.getElementById("f").contentDocument, root = page.scrollingElement;
  page.querySelectorAll("details").forEach(each => each.open = true);
  const over = [...page.querySelectorAll("h1,h2,p,li,svg,summary,.wide")].filter(
    each => each.getBoundingClientRect().right > {width} + 1);
  document.title = [root.scrollWidth, over.length, getComputedStyle(page.body).backgroundColor].join(" ");
}}</script></body></html>"""


def report(folder: Path) -> None:
    """A page with every section, long words and all."""
    rng = np.random.default_rng(0)
    legs = ("lexical", "dense", "hybrid", "search")
    names = parse("nDCG@10 R@100 Hits@1 MRR@10 AP failure@20")
    count = 120
    values = {leg: rng.uniform(0, 1, (count, len(names))) for leg in legs}
    promised = rng.normal(0, 1, count)
    ids = tuple(f"q{at}" for at in range(count))
    seen = np.arange(count) % 2 == 0
    right = promised > rng.normal(0, 1, count)
    found = Evaluation("x" * 200, "test", names, ids, values, seen, promised=promised, right=right)
    misses = [Miss("q1", "docs/" + "w" * 300, cause, "of " + "v" * 300) for cause in CAUSES]
    times = {leg: rng.uniform(1, 9, count) for leg in legs}
    told = page(
        found,
        latency=Latency({"route": times["dense"], "rerank": times["search"]}, times, 0.07),
        lost=Lost(misses, 10, {"q1": "u" * 300}),
        answers=Fidelity(answers=9, refused=1, statements=20, cited=20, verbatim=20, supported=19),
        freshness=freshness([Change("a", 0.0, 0.01, 0.02, 0.3), Change("b", 0.0, 0.02)]),
    )
    (folder / "report.html").write_text(told, encoding="utf-8")


def seen_by(folder: Path, width: int, *flags: str) -> tuple[int, int, str]:
    """How wide the page is, how many of its parts stick out, and its background."""
    assert CHROMIUM is not None
    (folder / "frame.html").write_text(FRAME.format(width=width))
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files"),
            *(f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000", *flags),
            *("--dump-dom", (folder / "frame.html").as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    title = re.search(r"<title>(\d+) (\d+) (.*?)</title>", done.stdout)
    assert title is not None, done.stdout[:500]
    return int(title[1]), int(title[2]), title[3]


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_runs_out_of_view(tmp_path: Path, width: int) -> None:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    report(tmp_path)
    light = seen_by(tmp_path, width)
    dark = seen_by(tmp_path, width, "--blink-settings=preferredColorScheme=0")
    for wide, sticking_out, _ in (light, dark):
        assert (wide, sticking_out) == (width, 0)
    assert {light[2], dark[2]} == {"rgb(253, 253, 251)", "rgb(21, 25, 28)"}


def test_every_section_is_there(tmp_path: Path) -> None:
    report(tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    heads = re.findall("<h2>(.*?)</h2>", text)
    assert heads == [
        "Quality",
        "Seen, unseen, worst",
        "Questions by nDCG@10 of search",
        "Can a score be believed?",
        "Latency",
        "What quality costs",
        "Where 8 misses were lost",
        "Do answers come from their evidence?",
        "Fresh",
    ]
    assert "A search scores 7.0% of the chunks." in text
