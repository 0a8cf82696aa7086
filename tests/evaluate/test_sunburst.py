"""The sunburst: every miss is drawn once, angles are shares, and each sector leads to its examples."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from fingerpost.evaluate.attribute import CAUSES, Miss
from fingerpost.evaluate.losses import losses
from fingerpost.evaluate.sunburst import Sector, sunburst


def angles(path: str) -> tuple[float, bool]:
    """How many degrees the outer arc of a piece spans, from its corners, and whether it is the large one."""
    import math

    (x1, y1, large, x2, y2) = (
        float(each)
        for each in re.findall(r"M([\d.]+) ([\d.]+)A[\d.]+ [\d.]+ 0 (\d) 1 ([\d.]+) ([\d.]+)", path)[0]
    )
    first, second = (math.atan2(x - 150, 150 - y) for x, y in ((x1, y1), (x2, y2)))
    return math.degrees(second - first) % 360, bool(large)


def pieces(picture: str) -> dict[str, str]:
    """What each piece says when it is pointed at → its path."""
    root = ElementTree.fromstring(picture)
    return {path.findtext("title") or "": path.get("d", "") for path in root.iter("path")}


@given(st.lists(st.integers(0, 500), min_size=1, max_size=8), st.data())
def test_angles_are_shares_and_counts_add_up(counts: list[int], data: st.DataObject) -> None:
    known = [data.draw(st.integers(0, count)) for count in counts]
    sectors = [
        Sector(f"s{at}", f"c{at}", {"seen": some, "new": count - some})
        for at, (count, some) in enumerate(zip(counts, known, strict=True))
    ]
    drawn = pieces(sunburst(sectors, title="t", middle="m"))
    inner = {name: path for name, path in drawn.items() if "," not in name.split(":")[0]}
    assert len(inner) == sum(count > 0 for count in counts)
    for at, count in enumerate(counts):
        if count:
            angle, large = angles(inner[f"s{at}: {count:,}"])
            share = min(count / sum(counts), 0.9999)
            assert abs(angle - 360 * share) < 1
            assert large == (share > 0.5)
    outer = [name for name in drawn if name not in inner]
    assert sum(int(name.rpartition(":")[2].replace(",", "")) for name in outer) == sum(counts)


def test_each_cause_leads_to_its_examples() -> None:
    misses = [Miss(f"q{at}", "a.md", cause, "why") for at, cause in enumerate(CAUSES)]
    root = ElementTree.fromstring(f"<x>{losses(misses, 10, {}, {'q0': True})}</x>")
    leads = {link.get("href", "")[1:] for link in root.iter("a")}
    inside = {part.get("id") for details in root.iter("details") for part in details.iter()}
    assert leads == {f"lost-{cause}" for cause in CAUSES} <= inside
    told = "".join(root.itertext())
    assert "corpus, seen in training: 1" in told
    assert "routing, not seen: 1" in told


def test_without_a_training_split_there_is_one_ring_and_long_lists_are_counted() -> None:
    text = losses([Miss("q", "a.md", "fusion", "why")] * 23, 10, {})
    assert text.count("<path") == 1
    assert "Outer ring" not in text
    assert "3 more" in text
