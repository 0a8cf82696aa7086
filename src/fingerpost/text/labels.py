"""What an access label may be. Labels are compared byte for byte, so one that only looks like another must
not come in: who may read the document would be decided by what nobody sees.
"""

from __future__ import annotations

from fingerpost.errors import InputError

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
