"""Texts of usage errors: those of the parser, in the words of this program."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_REWORDED = (
    (r"^Invalid value: ", ""),
    (r"is not a valid int(?:eger)?(?: range)?\.$", "is not a whole number"),
    (r"is not a valid float(?: range)?\.$", "is not a number"),
    (r"(\S+) is not in the range x>=(\S+?)\.$", r"\1 is less than \2"),
    (r"(\S+) is not in the range x>(\S+?)\.$", r"\1 is not more than \2"),
    (r"(\S+) is not in the range (\S+?)<=x<=(\S+?)\.$", r"\1 is not between \2 and \3"),
    (r"Got unexpected extra argument(?:s|\(s\))? \((.*)\)$", r"unexpected argument: \1"),
)
"""The parser's texts that use its own words, and those to use in their place."""


def usage_text(error: Any, command: Any) -> str:
    """Return the message of the parser's *error* on a line for *command*."""
    text: str = getattr(error, "format_message", lambda: str(error))()
    for pattern, better in _REWORDED:
        text = re.sub(pattern, better, text)
    name = getattr(error, "option_name", "")
    option = next((one for one in command.params if name in one.opts), None)
    if option and option.metavar and text.endswith(("argument.", "arguments.")):
        return f"{name} must be followed by {option.metavar}"
    return text


def named_command(root: Any, words: Sequence[str]) -> tuple[str, Any]:
    """Return the words that name a command at the beginning of *words*, and the command."""
    path, command = ["ocsync"], root
    for word in words:
        found = getattr(command, "commands", {}).get(word)
        if found is None:
            break
        path, command = [*path, word], found
    return " ".join(path), command
