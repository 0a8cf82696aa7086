"""What an access label may be, and a principal that is held against labels. They are compared byte for byte,
so one that only looks like another must not come in: who may read a document would be decided by what nobody
sees.
"""

from __future__ import annotations

from fingerpost.errors import InputError, UsageError

MOST_BYTES = 512
MOST = 10_000


def checked(labels: object) -> tuple[str, ...]:
    """Labels, each once, in the order given. Raises InputError (E_BAD_FORMAT, E_TOO_MANY) that names the
    first one that is none.

    >>> checked(["group:ops", "Anna B.", "group:ops"])
    ('group:ops', 'Anna B.')
    """
    if not isinstance(labels, (list, tuple)):
        raise InputError(
            "E_BAD_FORMAT",
            "'labels' is not a list of names",
            cure='write "labels": ["team-a"], or [] for nobody, or leave the key out',
        )
    if len(labels) > MOST:
        raise InputError("E_TOO_MANY", f"{len(labels)} labels (at most {MOST})", cure="use groups")
    for label in labels:
        fault = _fault(label)
        if fault:
            raise InputError(
                "E_BAD_FORMAT",
                f"'labels' is not a list of names: {ascii(label)[:80]} {fault}",
                cure="write each label as 1 to 512 bytes of printable text without blanks around it",
            )
    return tuple(dict.fromkeys(labels))


def held(principals: object) -> tuple[str, ...]:
    """The names that an asker holds, each once, in order; None is nobody, as no names are. Raises UsageError
    (E_PRINCIPAL, E_TOO_MANY): a name that no label can have is a mistake of who asks, not an unknown asker.

    >>> held(["user:anna", "group:ops", "user:anna"]), held(None)
    (('group:ops', 'user:anna'), ())
    """
    if principals is None:
        return ()
    if not isinstance(principals, (list, tuple, set, frozenset)):
        raise UsageError(
            "E_PRINCIPAL",
            f"principals are a list of names, not {type(principals).__name__}",
            cure='for example ["user:anna", "group:ops"]',
        )
    if len(principals) > MOST:
        message = f"{len(principals):,} principals (at most {MOST:,})"
        raise UsageError("E_TOO_MANY", message, cure="use groups")
    for name in principals:
        fault = _fault(name)
        if fault:
            raise UsageError(
                "E_PRINCIPAL",
                f"a principal is no name: {ascii(name)[:80]} {fault}",
                cure="give each as 1 to 512 bytes of printable text without blanks around it, as labels are",
            )
    return tuple(sorted(set(principals)))


def _fault(label: object) -> str:
    if not isinstance(label, str):
        return "is no string"
    if not label:
        return "is empty"
    if label != label.strip():
        return "has blanks around it"
    if not label.isprintable():  # control, direction and unassigned characters, halves of a pair
        return "has characters that cannot be seen"
    return "is too long" if len(label.encode()) > MOST_BYTES else ""
