"""The error boundary: every error of a command becomes lines on stderr and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable

from ocsync.cli.common_options import TRUE_WORDS
from ocsync.errors import ConfigError, ExitCode, InputError, Interrupted, OcsyncError
from ocsync.render.console import Console
from ocsync.render.streams import lost_output, write_text
from ocsync.suggestions import QUESTION

_PROBLEM_LIMIT = 20
_CHOICE_PREFIXES = (
    QUESTION, "one of ", "kinds: ", "targets: ", "kinds and targets: ", "its fields: ",
    "profiles in this workspace: ", "a profile's name ",
)  # fmt: skip
"""The beginnings of hints that list choices and are not commands."""
_DISK_ERRORS = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EIO")}


def run_guarded(words: list[str], execute: Callable[[Console], int]) -> int:
    """Run a command line of *words* by *execute* and return its exit code.

    An error is printed as a line on stderr, or as JSON if *words* or the environment ask for it.
    """
    own = words[: words.index("--")] if "--" in words else words
    console = Console(json="--json" in own or _is_true(os.environ.get("OCSYNC_JSON", "")))
    code = _run(console, execute)
    write_text(sys.stdout, "", flush=True)
    lost_output(sys.stderr)
    if reason := lost_output(sys.stdout):
        done = "" if code else "the command is done, but "
        console.alert(f"cannot write to standard output: {reason}; {done}the output is incomplete")
        console.alert("  next: free disk space, or send the output elsewhere", "")
        return code or ExitCode.FAILED
    return code


def _run(console: Console, execute: Callable[[Console], int]) -> int:
    try:
        return execute(console)
    except OcsyncError as error:
        return _report(console, error)
    except KeyboardInterrupt:
        return _report(console, Interrupted("interrupted; nothing was left half done"))
    except OSError as error:
        expected = _disk_error(error)
        return _report(console, expected) if expected else _report_unexpected(console, error)
    except Exception as error:  # noqa: BLE001 - the boundary: a traceback goes no further
        return _report_unexpected(console, error)


def _is_true(text: str) -> bool:
    """Return whether *text*, the value of a variable, turns an option on, as typer reads it."""
    return text.strip().casefold() in TRUE_WORDS


def _disk_error(error: OSError) -> OcsyncError | None:
    """Return the error for a full or broken disk, or a path that cannot be used, if it is one."""
    text = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    if error.errno == errno.EFBIG:
        return OcsyncError(text, hint="raise the limit on the size of files: ulimit -f unlimited")
    if isinstance(error, FileNotFoundError) and not error.filename:
        return ConfigError("the current folder was removed", hint="cd to an existing folder")
    if error.errno in _DISK_ERRORS:
        return OcsyncError(
            text, hint="free disk space or repair the disk, then run the same command again"
        )
    return ConfigError(text, hint="ocsync doctor") if error.filename else None


def _report(console: Console, error: OcsyncError) -> int:
    console.error_document(
        {
            "error": type(error).__name__,
            "exit_code": int(error.exit_code),
            "message": error.message,
            "hint": error.hint,
            **error.details(),
            **({"log_id": error.log_id} if error.log_id else {}),
        }
    )
    if console.json:
        return error.exit_code
    if isinstance(error, InputError):
        _show_problems(console, error)
    console.alert(error.message)
    if error.log_id:
        console.alert(f"  log ID {error.log_id} (OrderCloud's support asks for it)", "")
    if error.hint:
        listed = error.hint.startswith(_CHOICE_PREFIXES)
        console.alert(f"  {error.hint}" if listed else f"  next: {error.hint}", "")
    return error.exit_code


def _show_problems(console: Console, error: InputError) -> None:
    from ocsync.render.text import columns, truncate

    shown = error.problems[:_PROBLEM_LIMIT]
    rows = [(p.place(), p.field, f'"{truncate(p.value)}"' if p.value else "", p.why) for p in shown]
    used = [column for column in range(4) if any(row[column] for row in rows)]
    for line in columns([[row[column] for column in used] for row in rows], "<" * len(used)):
        console.alert(line, "")
    if len(error.problems) > len(shown):
        console.alert(f"... and {len(error.problems) - len(shown):,} more (all with --json)", "")


def _report_unexpected(console: Console, error: Exception) -> int:
    """Write the traceback to a file, print a line that names it, and return the exit code."""
    import platform
    import traceback
    from datetime import UTC, datetime
    from pathlib import Path

    from ocsync import __version__
    from ocsync.store.files import make_folder, real_path, write_atomically
    from ocsync.store.workspace import user_data_folder

    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    text = (
        f"ocsync {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        + "".join(traceback.format_exception(error))
    )
    folder = real_path(user_data_folder(os.environ))
    path: Path | None = folder / "errors" / f"{stamp}-{os.getpid()}.txt"
    try:
        make_folder(path.parent)  # type: ignore[union-attr]
        write_atomically(path, text.encode())  # type: ignore[arg-type]
    except (OSError, OcsyncError):
        path = None
    where = f"; see {path}" if path else ""
    message = f"unexpected error: {type(error).__name__}: {str(error)[:200]}{where}"
    console.error_document({"error": None, "exit_code": 1, "message": message, "hint": ""})
    if not console.json:
        console.alert(message)
    return ExitCode.FAILED
