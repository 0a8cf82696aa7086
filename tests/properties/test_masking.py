"""Laws of normalizing and masking, and the rules' catches and blanks."""

from __future__ import annotations

import random
import string
import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.growth import assert_linear

from fingerpost.compiler import prepare, read
from fingerpost.compiler.mask import edits, findings
from fingerpost.compiler.normalize import apply, normalize
from fingerpost.compiler.rules import RULES
from fingerpost.compiler.sieve import may_hold
from fingerpost.config import Settings
from fingerpost.records import Document
from fingerpost.text.spans import OffsetMap

SETTINGS = Settings()
ODD = [
    "\r\n",
    "\r",
    "e\u0301",
    "\0",
    "\ud800",
    " ",
    "\ud55c",
    "\u1112\u1161\u11ab",
    "\x85",
    "\xe9",
    "\u0323",
    "\n",
]
FOUND = [
    "jo@firm.org",
    "+49 30 1234567",
    "4111 1111 1111 1111",
    "DE89 3704 0044 0532 0130 00",
    "AKIA" + "Z7" * 8,
]
PIECES = st.sampled_from([*ODD, *FOUND, "word", "x" * 40])
TEXTS = st.lists(PIECES | st.text(max_size=6), max_size=20).map("".join)


@given(TEXTS)
def test_normal_text_is_normal(text: str) -> None:
    normal = normalize(text).text
    assert normalize(normal).text == normal
    assert not set(normal) & set("\0\r\x85\ud800")
    assert unicodedata.normalize("NFC", normal) == normal


@given(TEXTS)
def test_the_map_is_monotone_and_unchanged_text_round_trips(text: str) -> None:
    ready = prepare(Document("d", text), SETTINGS)
    back = OffsetMap(ready.source_map)
    places = [back.to_source(at) for at in range(len(ready.text) + 1)]
    assert places == sorted(places)
    assert not places or 0 <= places[0] <= places[-1] <= len(text)
    for start, end in _parallel(ready.source_map, len(ready.text)):
        source = text[back.to_source(start) : back.to_source(start) + end - start]
        assert _same(source, ready.text[start:end])


def _parallel(points: tuple[tuple[int, int], ...], length: int) -> list[tuple[int, int]]:
    """Stretches between breakpoints that advance equally on both sides."""
    return [
        (a[0], min(b[0], length)) for a, b in pairwise(points) if b[0] - a[0] == b[1] - a[1] and b[0] > a[0]
    ]


def _same(source: str, text: str) -> bool:
    """Equal but for edits that keep the length: lone surrogates, line breaks, one letter for another."""
    return all(a == b or len(normalize(a).text) == 1 for a, b in zip(source, text, strict=True))


@given(TEXTS)
def test_masking_is_repeatable_and_leaves_nothing_to_mask(text: str) -> None:
    once = prepare(Document("d", text), SETTINGS)
    assert prepare(Document("d", text), SETTINGS) == once
    assert findings(once.text, SETTINGS.mask.rules) == []


@given(TEXTS)
def test_the_sieve_lets_through_whatever_the_rules_find(text: str) -> None:
    normal = normalize(text).text
    for rule, find in RULES.items():
        assert not list(find(normal)) or rule in may_hold(normal.encode())


def _random(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(random.Random(count).choices(alphabet, k=count))


SECRETS = {
    "key": [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_" + _random(36),
        "github_pat_" + _random(60),
        "xoxb-" + "12345678901-" + _random(24),
        "sk-proj-" + _random(48),
        "AIza" + _random(35),
        f"eyJ{_random(20)}.eyJ{_random(40)}.{_random(43)}",
        "-----BEGIN RSA PRIVATE KEY-----\n" + _random(64) + "\n-----END RSA PRIVATE KEY-----",
    ],
    "email": ["jo.doe+tag@mail.firm.co.uk", "a_b@x-y.io"],
    "phone": [
        "+49 30 1234567",
        "+1 (415) 555-2671",
        "415-555-2671",
        "(415) 555-2671",
        "(555) 123-4567",
        "1-800-555-0199",
        "+441632960961",
    ],
    "card": ["4111 1111 1111 1111", "5500-0000-0000-0004", "378282246310005", "6011000990139424"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "FR1420041010050500013M02606"],
}


@pytest.mark.parametrize(
    ("rule", "secret"), [(rule, secret) for rule, secrets in SECRETS.items() for secret in secrets]
)
@pytest.mark.parametrize("frame", ["{}", "Write to {} today.", "({})", '"{}"', "x: {}\ny", "é {},"])
def test_caught(rule: str, secret: str, frame: str) -> None:
    ready = prepare(Document("d", frame.format(secret)), SETTINGS)
    assert f"⟦{rule}:" in ready.text
    assert secret[6:-1] not in ready.text


@pytest.mark.parametrize(
    "line",
    [
        'password = "hT7p!x9Qz2Lm"',
        "api_key: 9f8A7s6d5F4g3H2j1K",
        "Authorization: Bearer a1B2c3D4e5F6g7H8",
        "export CLIENT_SECRET=q9W8e7R6t5Y4u3",
        '"access_token": "ab12CD34ef56GH78"',
    ],
)
def test_assigned_secrets_are_caught(line: str) -> None:
    assert "⟦key:" in prepare(Document("d", line), SETTINGS).text


ORDINARY = [
    "version 1.22.333.4444, 2026-11-22T22:17:03Z, 10.0.0.255, ::1, 192.168.100.200:8080",
    "commit 8167454 of 3f2a9c1d7e8b4a6f5c0d9e8f7a6b5c4d3e2f1a0b, sha256:" + "ab12" * 16,
    "uuid 123e4567-e89b-12d3-a456-426614174000, ISBN 978-3-16-148410-0, ISSN 2049-3630",
    "doi:10.1038/s41586-020-2649-2, arXiv:2202.06991v3, PMID 32939066, CVE-2024-3094, NCT01234567",
    "6.02214076e23, 3.14159265358979, 1,234,567.89, -273.15, 0.4111111111111111, 1e-10, 299792458 m/s",
    "2004-2010 (95% CI 1.60-2.26; P = 3.1), n = 12345678, 100 200 300 400, 1990 1991 1992 1993 1994",
    "x = +1234567; y = a+12345678; z[415:555]; 0x7fffffff; 1_000_000_000_000; int16(65535)",
    "token = tokenizer.next_token(); password = getpass.getpass(); secret_key=os.environ['SECRET_KEY']",
    "token: str = token_type_ids; password=None; pwd = os.getcwd(); key = sha256_hex; token=AutoTokenizer2",
    "def f(self, password: str = 'password', token='<your-token-here>', secret=\"changeme123\"): ...",
    "@property @app.route('/x') a@b user@localhost git@github.com:x/y.git jo@example.com foo@2x.png",
    "base64 iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk task-list sk-learn scikit-learn",
    "GB12 is a postcode; DE89 nothing; IL10 TNF2 CD4 and MHC2 in HEK293T cells; ABCD1234EFGH5678",
    "Room 555-1234, chapters 20-30-40, part no. 4111-1111-1111-1112, timestamps 1700000000 1700000000000",
]


@pytest.mark.parametrize("line", ORDINARY)
def test_ordinary_text_stays(line: str) -> None:
    found = findings(line, SETTINGS.mask.rules)
    assert [(f.rule, line[f.start : f.end]) for f in found] == []


def test_one_value_one_pseudonym_under_one_salt() -> None:
    texts = ["jo@firm.org", "JO@firm.org"]
    same = {apply(text, edits(text, ["email"])) for text in texts}
    other = apply(texts[0], edits(texts[0], ["email"], salt=b"another"))
    assert len(same) == 1
    assert other not in same


@pytest.mark.parametrize(
    "text",
    [
        "a" * 500000,
        "a." * 250000,
        "1 " * 250000,
        "+1" * 250000,
        "a@" * 250000,
        "a@a." * 125000,
        "eyJ" * 160000,
        "password=" * 50000,
        ' "' * 20 + "A" * 500000,
        "4" * 500000,
        "DE89 " * 100000,
        "-----BEGIN PRIVATE KEY-----" * 9000,
    ],
)
def test_linear_time(text: str) -> None:
    assert_linear(lambda size: prepare(Document("d", text[:size]), SETTINGS), len(text))


@pytest.mark.parametrize(("name", "allowed"), [("scifact", 40), ("squad4", 60)])
def test_real_corpora_are_nearly_untouched(name: str, allowed: int, shared_data: object) -> None:
    """Counts of everything that is masked, true addresses included (see bench/LOG.md for what they are)."""
    masked = 0
    for item in read.sources([f"{shared_data}/{name}"], SETTINGS):
        assert isinstance(item, Document)
        masked += len(findings(item.text, SETTINGS.mask.rules))
    assert masked <= allowed
