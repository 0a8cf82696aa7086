"""Lines of source code told from lines of prose by how they look, in whatever programming language."""

from __future__ import annotations

import re

_SHOWN = 400  # characters of a line that are looked at
_PROSE = re.compile(
    r"\b(?:the|an?|of|to|are|be|this|that|these|its?|by|on|at|which|when|where|will|can|may|should|must|has|have"
    r"|been|being|does|each|all|more|other|another|you|your|we|they|was|were|but|there|also|than|so|any|only)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"(?<!\w)(?:\"[^\"]*\"|'[^']*')")
_CERTAIN = re.compile(
    r">>>|\.\.\.\s|@\w[\w.]*(?:\(|$)|#!|\$ "
    r"|(?:async\s+)?def\s+\w+\s*\(|class\s+\w+\s*[(:{]|import\s+[\w.]+(?:\s+as\s|\s*[,;]|$)|from\s+[\w.]+\s+import\b"
    r"|#(?:include|define|ifdef|ifndef|endif|if)\b|[\w.\"'<>-]+\s*::="
)
_LIKELY = re.compile(
    r"[\w.*]+(?:\[[^\]]*\])?(?:\s*,\s*[\w.*]+)*(?:\s*:\s*[\w\[\]., |]+?)?\s*(?:[-+*/|&^%@:]|//|<<|>>)?=(?!=)"
    r"|[\w.]+\([^()]*(?:\([^()]*\)[^()]*)*\)?[,;:]?$"
    r"|[\w.]+\[[^\]]*\]$"
    r"|(?:if|elif|while|for|with|try|except|finally|else|switch|case|match|do|catch|lambda)\b.*[:{]$"
    r"|(?:public|private|protected|static|const|let|var|fn|func|function|impl|struct|enum|package|using)\s+[\w<>*]+.*[({;=]"
    r"|(?:return|raise|yield|assert|del|global|nonlocal|await|throw|print|echo|export)\b(?!-)"
    r"|(?:pass|break|continue|else|try|finally|end|fi|done|esac)[:;]?$"
    r"|[)\]}]"
)
_SIGN = re.compile(r"[=(){}\[\]<>;|&\\]")
_MOST_SIGNS = 0.12


def is_code(text: str) -> bool:
    """Whether a line, or a sentence cut out of a text, looks like source code.

    Definitions, imports and prompts always do. Assignments, calls, keywords of control flow and thick
    punctuation do unless the words between them are those of a sentence. What stands in quotation marks is
    not looked at.

    >>> [is_code(line) for line in ("x = foo(y)", "return None", "Return a list of x.", ">>> 1 + 1")]
    [True, True, False, True]
    """
    line = " ".join(text[:_SHOWN].split())  # single blanks: nothing for the patterns to back off over
    if _CERTAIN.match(line):
        return True
    bare = _QUOTED.sub("''", line)
    if is_prose(bare):
        return False
    if not bare.strip("',)]") or ("''" in bare and bare.endswith(",")):  # strings, and little else
        return True
    if _LIKELY.match(bare) or bare.endswith(("{", "}", "};", ");", "\\", "(", "[", "[]")):
        return not _reads(bare)
    if bare.count("(") != bare.count(")") or bare.count("[") != bare.count("]"):
        return not _reads(bare)
    signs = len(_SIGN.findall(bare))
    return signs > 2 and signs > _MOST_SIGNS * len(bare)


def is_prose(text: str) -> bool:
    """Whether at least two of the words are such as hold an English sentence together.

    >>> is_prose("the name of the file"), is_prose("file name")
    (True, False)
    """
    first = _PROSE.search(text)
    return first is not None and _PROSE.search(text, first.end()) is not None


def _reads(bare: str) -> bool:
    """Whether a line ends as a sentence does, with a word of prose in it."""
    return bare.endswith((".", "!")) and _PROSE.search(bare) is not None
