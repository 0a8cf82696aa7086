"""Lines of code against lines of prose."""

from __future__ import annotations

import pytest
from tests.growth import assert_linear

from fingerpost.text.code import is_code

CODE = """
import sys
from os import path
def copytree(src, dst, symlinks=False,
class Popen(object):
@functools.lru_cache(typed=True)
x = 1
self._count += 1
task.cancel()
for task in to_cancel:
copy_function, ignore_dangling_symlinks, dirs_exist_ok)
'message': 'the exception of the task', 'exception': task.exception(),
return x ? y : z;
const foo = bar();
int main(int argc, char **argv) {
fn main() {
with_item ::= expression ["as" target]
>>> 1 + 1
"""
PROSE = """
If exist_ok is true, the copying will continue.
Return a list of the words in the string.
Raised when run() is called with check=True and the process fails.
Pass stdout=PIPE and/or stderr=PIPE in order to capture them.
Least-recently-used cache decorator.
for each item in the list:
Return code of the process.
The default is "utf-8"
Import statements are executed in two steps.
Class to create ZIP archives with Python library files.
name: value
E = mc2 is the formula of Einstein.
"""


@pytest.mark.parametrize("line", CODE.strip().split("\n"))
def test_code_is_code(line: str) -> None:
    assert is_code(line)
    assert is_code("    " + line)


@pytest.mark.parametrize("line", PROSE.strip().split("\n"))
def test_prose_is_not(line: str) -> None:
    assert not is_code(line)


@pytest.mark.parametrize("piece", ["a, ", "a:  ", "(", "f(()", "' ", "\"'", "[", "return ", "public a "])
def test_a_line_takes_linear_time(piece: str) -> None:
    assert_linear(lambda count: is_code(piece * count), 100_000)
