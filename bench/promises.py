"""The promises of docs/reliability.md, and the tests that try to break each."""

from __future__ import annotations

from dataclasses import dataclass

NONE = "0 in {tried:,} {trials}"
"""Only of such a promise a bound can be given."""


@dataclass(frozen=True)
class Promise:
    """A promise, what is counted (in the plural), and the tests that try to break it; ``counts`` is the
    property under which these say how often they tried, ``seen`` what to say of it where no test failed.
    """

    number: int
    words: str
    trials: str
    tests: tuple[str, ...]
    counts: str = "trials"
    seen: str = NONE


def _gone(guard: str) -> tuple[str, ...]:
    """The campaign that asks everybody after each change, and its control."""
    return (
        "crash/test_gone.py::test_gone_at_once",
        "crash/test_gone.py::test_gone_at_once_for_long",
        f"crash/test_gone.py::test_a_missing_guard_is_caught[{guard}]",
    )


PROMISES = (
    Promise(
        1,
        "strict isolation tells nothing of hidden documents",
        "requests",
        ("security/test_two_worlds.py",),
    ),
    Promise(
        2,
        "an acknowledged write is never lost",
        "kills",
        ("crash/test_kill.py", "crash/test_failpoints.py", "crash/test_compile.py"),
    ),
    Promise(3, "a damaged file never gives a wrong answer", "damages", ("crash/test_corruption.py",)),
    Promise(4, "deleted is gone at once, everywhere", "deletes", _gone("tombstones_not_applied"), "delete"),
    Promise(
        5,
        "every citation exists and is verbatim",
        "tests",
        ("security/test_citations.py", "ground/test_verify.py"),
    ),
    Promise(6, "one generation per answer", "looks", ("crash/test_races.py",)),
    Promise(7, "power loss keeps acknowledged data", "disks", ("crash/test_power_loss.py",)),
    Promise(8, "masked text cannot be got back", "tests", ("properties/test_masking.py",)),
    Promise(
        9,
        "revoked access ends at once",
        "changes of labels",
        _gone("permissions_remembered_across_changes"),
        "relabel",
    ),
    Promise(12, "a bad file never stops the batch", "inputs", ("security/test_hostile_files.py", "compiler")),
    Promise(13, "on a full disk reads and deletes go on", "full disks", ("crash/test_disk.py",)),
    Promise(14, "router and index are of one epoch", "kills at places", ("crash/test_failpoints.py",)),
    Promise(
        16,
        "no memory of one caller answers another",
        "answers",
        (
            *_gone("permissions_remembered_for_all_users"),
            "crash/test_gone.py::test_a_missing_guard_is_caught[documents_without_labels_shown]",
        ),
        "answer",
    ),
    Promise(17, "no code runs from model files", "inputs", ("models/test_hostile_models.py",)),
    Promise(19, "no query exhausts the machine", "inputs", ("security/test_hostile_queries.py",)),
    Promise(
        20,
        "processes cannot spoil a store for each other",
        "takeovers",
        (
            "crash/test_rivals.py",
            "crash/test_kill.py::test_a_killed_writers_lock_is_taken_over_and_a_living_ones_is_not",
        ),
    ),
    Promise(
        23,
        "memory, handles and disk stay flat",
        "rounds",
        ("crash/test_soak.py",),
        seen="flat over {tried:,} {trials}",
    ),
    Promise(
        27,
        "a history of updates equals an index made anew",
        "rankings",
        ("index/test_updates.py",),
        seen="{same:,} of {tried:,} {trials} the same",
    ),
)
