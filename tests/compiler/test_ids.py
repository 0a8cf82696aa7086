"""Ids are data: kept as they are, or refused with a reason (hostile id rows I01–I33)."""

from __future__ import annotations

import pytest

from fingerpost.compiler.ids import valid
from fingerpost.errors import InputError

REFUSED = {
    "I01": ["", "   "],
    "I02": [" ", ".", "..", "...", ". ."],
    "I03": ["../../../etc/passwd", "a/../b", "a\\..\\b"],
    "I04": ["..%2f..%2f", "%252e%252e", "..%c0%af", "%2e%2e/x"],
    "I07": ["a\0b"],
    "I08": ["a\nb", "a\rb", "a\tb", "a\x1b[31mb", "a\x85b", "a\u2028b"],
    "I09": ["x" * 65_536],
    "I11": ["x" * 513, "😀" * 128 + "x"],
    "I18": ["a\ud800b"],
}
KEPT = {
    "I05": ["/etc/passwd"],
    "I06": ["C:\\Windows", "\\\\host\\share", "file.txt:ads"],
    "I10": ["😀" * 128],
    "I13": ["A", "a"],
    "I14": ["a.", "a ", "a/", "a"],
    "I15": ["a", "а"],
    "I16": ["a\u202eb"],
    "I17": ["a\u200db"],
    "I19": ["😀", "道", "سلام"],
    "I20": ["007", "7", "7.0", "1e3", "0x10"],
    "I21": ["-1", "9223372036854775808", "18446744073709551616"],
    "I22": ["true", "null", "NaN", "undefined"],
    "I23": ["<img onerror=x>"],
    "I24": ["{{7*7}}", "${7*7}", "<%= %>", "#{ }"],
    "I25": ["'; DROP TABLE d; --"],
    "I26": ["$(touch pwned)", "`id`", "; rm"],
    "I27": ["--help", "-rf", "@file", "~root", "*"],
    "I28": ["MANIFEST", "wal", "_all", "tombstone"],
    "I29": ["3.17", "(3, 17)"],
    "I32": ["a/README.md", "b/README.md"],
    "more": ["a..b", "..a", "100%", "50%-off", "a%zz"],
}


@pytest.mark.parametrize(("row", "doc_id"), [(row, doc_id) for row, ids in REFUSED.items() for doc_id in ids])
def test_refused(row: str, doc_id: str) -> None:
    with pytest.raises(InputError) as caught:
        valid(doc_id)
    assert caught.value.code == "E_ID"
    assert str(caught.value).isprintable(), row


@pytest.mark.parametrize("row", KEPT)
def test_kept_and_distinct(row: str) -> None:
    assert [valid(doc_id) for doc_id in KEPT[row]] == KEPT[row]
    assert len({valid(doc_id) for doc_id in KEPT[row]}) == len(KEPT[row])


def test_two_spellings_of_one_name_are_one_id() -> None:
    """I12: NFC and NFD twins never become two documents that look alike."""
    assert valid("caf\u00e9") == valid("cafe\u0301")
