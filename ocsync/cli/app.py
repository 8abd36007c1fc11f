"""The application: the commands in the order they are used, and the error boundary."""

from __future__ import annotations

import errno
import functools
import os
import platform
import sys
import traceback
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from ocsync import __version__
from ocsync.errors import ConfigError, ExitCode, InputError, OcsyncError
from ocsync.render.console import Console, lost_output, write_text

_COMMANDS = (
    "init", "profile", "targets", "pause", "stage", "plan", "resume", "verify", "status",
    "unpause", "window", "expire", "delete", "rollback", "resync", "history", "doctor",
    "delivery", "listen", "emulator", "demo", "help",
)  # fmt: skip
_PROBLEM_LIMIT = 20
_CHOICE_PREFIXES = ("one of ", "kinds: ", "targets: ", "profiles here: ", "a profile's name ")
"""The beginnings of hints that list choices and are not commands."""
_DISK_ERRORS = {getattr(errno, name, None) for name in ("ENOSPC", "EDQUOT", "EIO")}
_USAGE_ERROR = typer.BadParameter.__mro__[1]  # typer does not export the root of its usage errors


class _OrderedGroup(TyperGroup):
    """A group that lists the commands in the order they are used."""

    def list_commands(self, ctx: Any) -> list[str]:
        known = super().list_commands(ctx)
        return sorted(known, key=_COMMANDS.index)


app = typer.Typer(
    name="ocsync",
    cls=_OrderedGroup,
    help="Pause OrderCloud sync, stage changes, review the plan, resume, and prove what arrived.",
    epilog="Start with: ocsync demo. Topics such as exit codes: ocsync help.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"ocsync {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", help="Show the version.", callback=_show_version, is_eager=True
    ),
) -> None:
    del version


for _name in _COMMANDS:
    import_module(f"ocsync.cli.{_name}").register(app)


@functools.cache
def tree() -> Any:
    """Return the command tree, built once per process."""
    return get_command(app)


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; print an error as a line on stderr."""
    words = sys.argv[1:] if arguments is None else arguments
    own = words[: words.index("--")] if "--" in words else words
    console = Console(json="--json" in own or _is_true(os.environ.get("OCSYNC_JSON", "")))
    code = _run(console, words)
    write_text(sys.stdout, "", flush=True)
    lost_output(sys.stderr)
    if reason := lost_output(sys.stdout):
        console.alert(f"standard output took no more: {reason}; the answer is not complete")
        return code or ExitCode.FAILED
    return code


def _run(console: Console, words: list[str]) -> int:
    try:
        code = tree()(words, prog_name="ocsync", standalone_mode=False)
        return int(code or 0)
    except OcsyncError as error:
        return _report(console, error)
    except (KeyboardInterrupt, typer.Abort):
        console.alert("interrupted; nothing is half done")
        return ExitCode.INTERRUPTED
    except SystemExit:  # typer raises it when the reader of its help is gone
        return ExitCode.DONE
    except OSError as error:
        expected = _disk_error(error)
        return _report(console, expected) if expected else _report_unexpected(console, error)
    except Exception as error:  # noqa: BLE001 - the boundary: a traceback goes no further
        if isinstance(error, _USAGE_ERROR):
            return _report_usage(console, error)
        return _report_unexpected(console, error)


def _is_true(text: str) -> bool:
    """Return whether *text*, the value of a variable, turns an option on, as typer reads it."""
    return text.strip().casefold() in ("1", "true", "t", "yes", "y", "on")


def _disk_error(error: OSError) -> OcsyncError | None:
    """Return the error for a full or broken disk, or a path that cannot be used, if it is one."""
    text = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    if error.errno == errno.EFBIG:
        return OcsyncError(text, hint="raise the limit on the size of files: ulimit -f unlimited")
    if isinstance(error, FileNotFoundError) and not error.filename:
        return ConfigError("the current folder was removed", hint="cd to a folder that exists")
    if error.errno in _DISK_ERRORS:
        return OcsyncError(text, hint="make room or mend it, then the same again")
    return ConfigError(text, hint="ocsync doctor") if error.filename else None


def _report_usage(console: Console, error: BaseException) -> int:
    context = getattr(error, "ctx", None)
    message = getattr(error, "format_message", lambda: str(error))()
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stdout.write(message + "\n")
        return ExitCode.DONE
    path = context.command_path if context else "ocsync"
    console.error_document({"exit_code": 64, "message": message, "hint": f"{path} --help"})
    if not console.json:
        console.alert(message)
        console.alert(f"  next: {path} --help", "")
    return ExitCode.USAGE


def _report(console: Console, error: OcsyncError) -> int:
    facts = {"exit_code": int(error.exit_code), "message": error.message, "hint": error.hint}
    console.error_document({**facts, **error.details()})
    if console.json:
        return error.exit_code
    if isinstance(error, InputError):
        _show_problems(console, error)
    console.alert(error.message)
    for line in _hint_lines(error.hint):
        console.alert(f"  {line}", "")
    return error.exit_code


def _hint_lines(hint: str) -> list[str]:
    """Return the hint as the next command or, wrapped, as the choices that it lists."""
    if hint.startswith(_CHOICE_PREFIXES):
        from textwrap import wrap

        return wrap(hint, 76, break_on_hyphens=False)
    return [f"next: {hint}"] if hint else []


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
    from pathlib import Path

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
    message = f"unexpected: {type(error).__name__}: {str(error)[:200]}{where}"
    console.error_document({"exit_code": 1, "message": message, "hint": ""})
    if not console.json:
        console.alert(message)
    return ExitCode.FAILED
