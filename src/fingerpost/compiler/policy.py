"""The masking policy's identity: an index made under one policy is not to be continued under another."""

from __future__ import annotations

import json
from hashlib import sha256

from fingerpost.compiler.rules import VERSION
from fingerpost.config import MaskSettings


def policy_digest(mask: MaskSettings, *, salt: bytes = b"") -> str:
    """A digest of which rules run, of their version, and of the salt where it is an index's own.

    >>> policy_digest(MaskSettings()) == policy_digest(MaskSettings(rules=("iban",)))
    False
    """
    rules = sorted(set(mask.rules)) if mask.enabled else []
    policy = {"version": VERSION, "rules": rules, "salt": sha256(salt).hexdigest() if salt else ""}
    return sha256(json.dumps(policy, sort_keys=True).encode()).hexdigest()
