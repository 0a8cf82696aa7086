"""Masking: secrets and personal data leave the text before anything is stored, indexed or trained.

Each finding becomes a pseudonym such as ``⟦email:3f2a91⟧``: the same value under the same salt always the
same one, so that texts about one person stay together; without the salt it cannot be recomputed.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from fingerpost.compiler.normalize import Edit, apply
from fingerpost.compiler.rules import RULES, Finding
from fingerpost.compiler.sieve import may_hold

SALT = b"fingerpost default salt"
MAX_ROUNDS = 8


def findings(text: str, rules: Iterable[str]) -> list[Finding]:
    """What the rules find, ascending, without overlaps (the earlier finding, then the longer one, names it).

    What is found becomes a boundary for what stands right beside it, so the text is searched again.
    """
    kept: list[Finding] = []
    wanted = set(rules)
    for _ in range(MAX_ROUNDS):
        fresh = _disjoint(_round(text, wanted), text)
        if not fresh:
            break
        kept += fresh
        text = apply(text, [Edit(f.start, f.end, "⟧" * (f.end - f.start)) for f in fresh])
    return sorted(kept)


def _round(text: str, wanted: set[str]) -> list[Finding]:
    likely = may_hold(text.encode("utf-8", "replace")) if wanted else []
    return [finding for rule in likely if rule in wanted for finding in RULES[rule](text)]


def _disjoint(found: list[Finding], text: str) -> list[Finding]:
    """Overlapping findings as one: no half of a secret may stay."""
    kept: list[Finding] = []
    for finding in sorted(found, key=lambda finding: (finding.start, -finding.end)):
        if not kept or finding.start >= kept[-1].end:
            kept.append(finding)
        elif finding.end > kept[-1].end:
            last = kept[-1]
            kept[-1] = Finding(last.start, finding.end, last.rule, text[last.start : finding.end])
    return kept


def edits(text: str, rules: Iterable[str], *, salt: bytes = SALT) -> list[Edit]:
    """The replacements that mask ``text``.

    >>> edits("Mail jo@firm.org!", ["email"])[0][:2]
    (5, 16)
    """
    return [Edit(f.start, f.end, pseudonym(f.rule, f.value, salt=salt)) for f in findings(text, rules)]


def pseudonym(rule: str, value: str, *, salt: bytes = SALT) -> str:
    """What stands for a value: its rule and a digest keyed by the salt.

    >>> pseudonym("email", "jo@firm.org") == pseudonym("email", "jo@firm.org")
    True
    """
    key = blake2b(salt, digest_size=32).digest()
    digest = blake2b(value.encode("utf-8", "replace"), key=key, digest_size=3, person=rule.encode()[:16])
    return f"⟦{rule}:{digest.hexdigest()}⟧"
