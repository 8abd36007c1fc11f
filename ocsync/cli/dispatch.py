"""The dispatcher: it answers short questions itself, and has a command loaded for all else.

Prompts and scripts ask for `--version`, `status --offline` and shell completion, and starting the
command line with typer takes several times as long as the answer. What is read, printed and
returned is the same either way. Whatever is not spelled in the plain way, and every wrong option,
goes to typer.
"""

from __future__ import annotations

import os
import sys

from ocsync import __version__
from ocsync.render.streams import has_lost, write_text

TYPE_CHECKING = False  # loading `typing` takes longer than the quickest answer
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from ocsync.render.console import Console

_STATUS_FLAGS = {"--offline": "offline", "--exit-code": "exit_code"}
_STATUS_VALUES = {"--max-age": "max_age"}
"""The options of `status`, in addition to those that every command has."""


def answer(words: list[str]) -> int | None:
    """Answer the command line *words* if it is a short question, and return its exit code.

    Return None, and print nothing, for every other one.
    """
    if shell := os.environ.get("_OCSYNC_COMPLETE"):
        return _complete(shell, words[1:])
    if words in (["--version"], ["-V"]):
        return _show_version()
    if words[:1] == ["status"] and "--offline" in words:
        return _show_status(words)
    return None


def _complete(shell: str, arguments: list[str]) -> int:
    from ocsync.cli.completion_reply import complete

    write_text(sys.stdout, complete(shell, arguments, os.environ), flush=True)
    return 0


def _show_version() -> int:
    write_text(sys.stdout, f"ocsync {__version__}\n", flush=True)
    if not has_lost(sys.stdout):
        return 0
    from ocsync.cli.boundary import run_guarded

    return run_guarded(["--version"], lambda _: 0)


def _show_status(words: list[str]) -> int | None:
    """Show the offline status; return None, and print nothing, for options that typer must read."""
    given = read_options(words[1:], os.environ)
    if given is None:
        return None
    from ocsync.cli.boundary import run_guarded

    return run_guarded(words, _status_command(given))


def _status_command(given: Mapping[str, Any]) -> Callable[[Console], int]:
    from ocsync.cli.context import Context
    from ocsync.cli.status_output import show_status

    def execute(_: Console) -> int:
        shared = dict(given)
        max_age, exit_code = shared.pop("max_age"), shared.pop("exit_code")
        with Context.start("status", **shared) as ctx:
            return show_status(ctx, None, max_age=max_age, exit_code=exit_code)

    return execute


def read_options(words: list[str], environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the options of `status` by name; None for words or variables that typer must read."""
    from ocsync.cli.common_options import COMMON_OPTIONS, FALSE_WORDS, TRUE_WORDS
    from ocsync.cli.durations import read_duration

    flags, values = dict(_STATUS_FLAGS), dict(_STATUS_VALUES)
    given: dict[str, Any] = {"offline": False, "exit_code": False, "max_age": ""}
    for name, option in COMMON_OPTIONS.items():
        text = environ.get(option.env, "")
        if option.kind is not bool:
            values |= dict.fromkeys(option.names, name)
            given[name] = option.kind(text) if text else option.default
            continue
        flags |= dict.fromkeys(option.names, name)
        given[name] = text.strip().lower() in TRUE_WORDS
        if not given[name] and text.strip().lower() not in FALSE_WORDS:
            return None
    rest = iter(words)
    for word in rest:
        if word in flags:
            given[flags[word]] = True
            continue
        value = next(rest, "") if word in values else ""
        if not value or value.startswith("-"):
            return None
        name = values[word]
        given[name] = COMMON_OPTIONS[name].kind(value) if name in COMMON_OPTIONS else value
    try:
        given["max_age"] = read_duration(given["max_age"] or "0", unit_needed=True)
    except ValueError:
        return None
    return given if given.pop("offline") else None
