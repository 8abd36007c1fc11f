"""The outline of the command line: the names, options and one line of help of every command.

`outline.json` beside this module has it, so that a question about all commands loads none of them.
A test compares the file with the commands, and says how to write it again.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("outline.json")


@cache
def read_outline() -> dict[str, Any]:
    """Return the outline: the `common` options, and the `commands` by the words that name each.

    A group has `options` and `commands` (name and first line of help), perhaps a `default`; a
    command has its own `options` and its `arguments`. `completes` says for each word of a value
    what completes it: a list of words, the name of a source, or nothing; `after` does so for the
    words after `--`. `words` and `fields` are the tables of some sources.
    """
    import json

    outline: dict[str, Any] = json.loads(PATH.read_bytes())
    return outline
