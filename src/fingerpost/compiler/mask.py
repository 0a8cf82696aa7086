"""Masking: secrets and personal data leave the text before anything is stored, indexed or trained.

Each finding becomes a pseudonym such as ``⟦email:3f2a91⟧``: the same value under the same salt always the
same one, so that texts about one person stay together; without the salt it cannot be recomputed.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from fingerpost.compiler.normalize import Edit
from fingerpost.compiler.rules import RULES, Finding
from fingerpost.compiler.sieve import may_hold

SALT = b"fingerpost default salt"


def findings(text: str, rules: Iterable[str]) -> list[Finding]:
    """What the rules find, ascending, without overlaps (the longer finding wins, then the earlier rule)."""
    wanted = set(rules)
    likely = may_hold(text.encode("utf-8", "replace")) if wanted else []
    found = [finding for rule in likely if rule in wanted for finding in RULES[rule](text)]
    found.sort(key=lambda finding: (finding.start, -finding.end))
    kept: list[Finding] = []
    for finding in found:
        if kept and finding.start < kept[-1].end:
            last = kept[-1]
            if finding.end > last.end:  # masked as one stretch: no half of a secret may stay
                kept[-1] = Finding(last.start, finding.end, last.rule, text[last.start : finding.end])
            continue
        kept.append(finding)
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
