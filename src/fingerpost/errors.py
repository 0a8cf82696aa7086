"""Every error a user can meet: a code, a sentence, the cause (chained), the cure.

    FingerpostError                 exit  http
    ├── UsageError                    2    400   the request is wrong: query, filter, id, number
    ├── ConfigError                   3    400   fingerpost.toml is wrong
    ├── NotFoundError                 4    404   no such index, document, chunk or generation
    ├── InputError                    2    422   a file, record or pair cannot be used
    ├── GateError                     5    409   a quality gate said no
    ├── MissingExtraError             6    501   an optional part is not installed
    ├── ModelError                    3    409   a model file is missing, damaged or another's
    └── StoreError                    1    503   the index folder
        ├── LockedError               1    409   another process writes
        ├── CorruptError              1    500   a digest does not match
        ├── FingerprintError          3    409   made by another model, masking policy or version
        └── DiskError                 1    507   full, read-only or failing disk

``CODES`` lists every code with its meaning; docs/reference/errors.md is written from it.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    "E_BAD_FORMAT": "the content is not what its format demands",
    "E_CONFIG": "a configuration file cannot be used",
    "E_CONFIG_KEY": "a configuration key is unknown or its value is out of range",
    "E_CORRUPT": "a file of the index does not match its digest",
    "E_DEPTH": "nested deeper than allowed",
    "E_DISK": "the disk is full, read-only or failing",
    "E_EMPTY": "nothing in it",
    "E_EMPTY_QUERY": "the query holds no text",
    "E_ENCODING": "not valid text in a supported encoding",
    "E_ENCRYPTED": "protected by a password",
    "E_EXISTS": "the index folder already holds an index, or a file is in the way",
    "E_EXTRA": "an optional part is not installed",
    "E_FENCED": "this writer has been replaced by another one",
    "E_FILTER": "a filter is not valid",
    "E_FINGERPRINT": "made by another model, masking policy or format version",
    "E_GATE": "a quality gate was not met",
    "E_ID": "an identifier is not valid",
    "E_LOCKED": "another process is writing to this index",
    "E_METRIC": "no such measure",
    "E_MODEL": "a model cannot be used",
    "E_NOT_FOUND": "no such thing",
    "E_NOT_HELD": "a version of the index that is no longer kept",
    "E_PAIRS": "the training pairs cannot be used",
    "E_PATH": "not a regular file inside the allowed folder",
    "E_PRINCIPAL": "a principal is not a name that an access label can be",
    "E_QRELS": "the judgements cannot be used",
    "E_RANGE": "a number is out of range",
    "E_RATIO": "inflates far beyond its size",
    "E_RESTS": "a model that failed is not asked for a while",
    "E_TIMEOUT": "took longer than allowed",
    "E_TOO_BIG": "larger than allowed",
    "E_TOO_LONG": "longer than allowed",
    "E_TOO_MANY": "more items than allowed",
    "E_TOO_MANY_TERMS": "the query holds more terms than allowed",
    "E_TYPE_MISMATCH": "the content is of another type than the name says",
    "E_UNREADABLE": "the file cannot be read",
    "E_USAGE": "the command or call is used wrongly",
}


class FingerpostError(Exception):
    """The root. ``code`` is one of ``CODES``; ``cure`` says what to do; ``detail`` names the offender."""

    exit_status = 1
    http_status = 500

    def __init__(self, code: str, message: str, *, cure: str, detail: str = "") -> None:
        if code not in CODES:
            raise ValueError(f"unknown error code {code}")
        super().__init__(message)
        self.code = code
        self.message = message
        self.cure = cure
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class UsageError(FingerpostError):
    """The request is wrong: a query, a filter, an id, a number."""

    exit_status = 2
    http_status = 400


class ConfigError(FingerpostError):
    """The configuration is wrong; the message names key, value and what is allowed."""

    exit_status = 3
    http_status = 400


class NotFoundError(FingerpostError):
    """No such index, document, chunk or generation."""

    exit_status = 4
    http_status = 404


class GateError(FingerpostError):
    """A quality gate said no; nothing was changed."""

    exit_status = 5
    http_status = 409


class MissingExtraError(FingerpostError):
    """An optional part is not installed; the cure is the install command."""

    exit_status = 6
    http_status = 501


class InputError(FingerpostError):
    """A file, record or pair cannot be used. A batch reports it and goes on; else nothing was done."""

    exit_status = 2
    http_status = 422


class ModelError(FingerpostError):
    """A model file is missing, damaged, or of a kind that is not loaded."""

    exit_status = 3
    http_status = 409


class StoreError(FingerpostError):
    """The index folder cannot do what was asked."""

    http_status = 503


class LockedError(StoreError):
    """Another process writes to this index; its pid is in ``detail``."""

    http_status = 409


class CorruptError(StoreError):
    """A file does not match its digest; ``detail`` names the file."""

    http_status = 500


class FingerprintError(StoreError):
    """The index was made by another model, masking policy or format version."""

    exit_status = 3
    http_status = 409


class DiskError(StoreError):
    """The disk is full, read-only or failing; reads go on."""

    http_status = 507


def missing_extra(extra: str, needed_for: str) -> MissingExtraError:
    """The error for an optional part that is not installed, with the command that installs it.

    >>> missing_extra("pdf", "reading PDF files").cure
    "pip install 'fingerpost[pdf]'"
    """
    return MissingExtraError(
        "E_EXTRA", f"{needed_for} needs the extra '{extra}'", cure=f"pip install 'fingerpost[{extra}]'"
    )
