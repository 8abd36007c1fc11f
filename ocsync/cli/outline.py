"""The outline of the command line: the names, options and one line of help of every command.

`outline.json` beside this module has it, so that a question about all commands loads none of them.
A test compares the file with the commands, and says how to write it again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("outline.json")


def read_outline() -> dict[str, Any]:
    """Return the outline: the `common` options, and the `commands` by the words that name each.

    A group has `options` and `commands`, perhaps a `default`; a command has its own `options` and
    its `arguments`. `commands` are lists: the name, the line that completion shows, and the whole
    line if that one was cut.
    """
    import json

    outline: dict[str, Any] = json.loads(PATH.read_bytes())
    return outline
