"""The application: the commands by what they are for, each loaded when it is named."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from ocsync import __version__
from ocsync.cli.boundary import run_guarded
from ocsync.cli.leading_options import behind_command
from ocsync.cli.outline import read_outline
from ocsync.errors import ExitCode, UsageError
from ocsync.render.streams import write_text

if TYPE_CHECKING:
    from ocsync.render.console import Console


class _Section(NamedTuple):
    """Commands that belong together, with an example of one."""

    title: str
    commands: tuple[str, ...]
    example: str


SECTIONS = (
    _Section("Start", ("login", "init", "profile", "targets", "doctor"), "ocsync login"),
    _Section("Edit", ("stage", "export", "compare"), "ocsync stage set catalog/SUMMER Active=true"),
    _Section("Send", ("pause", "plan", "resume", "unpause", "window"), "ocsync resume --verify"),
    _Section("Check", ("status", "verify", "history"), "ocsync status"),
    _Section("Undo", ("rollback", "delete"), "ocsync rollback 1123-1504"),
    _Section(
        "Operate", ("delivery", "listen", "resync", "expire", "probe"), "ocsync resync products P1"
    ),
    _Section(
        "Local", ("demo", "emulator", "completion", "schema", "help", "version"), "ocsync demo"
    ),
)
_COMMANDS = tuple(name for section in SECTIONS for name in section.commands)
_SUMMARY = "Pause OrderCloud sync, stage changes, review the plan, send it, and verify it."
_READ_ON = (
    "See the whole cycle: ocsync demo. All commands: ocsync --help.",
    "One command: ocsync help COMMAND. Topics: ocsync help.",
)
_USAGE_ERROR = typer.BadParameter.__mro__[1]  # typer does not export the root of its usage errors


class _Commands(Mapping[str, Any]):
    """The commands by name; the module of one is loaded when the command is asked for."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in _COMMANDS:
            raise KeyError(name)
        if name not in self._loaded:
            only = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
            import_module(f"ocsync.cli.{name}").register(only)
            self._loaded |= get_group(only).commands
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


class _RootGroup(TyperGroup):
    """The group of all commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order they are used, and load none."""
        del ctx
        return list(_COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands by section, and load none."""
        del ctx
        lines = dict(read_outline()["commands"][""]["commands"])
        width = max(map(len, lines))
        for section in SECTIONS:
            with formatter.section(section.title):
                rows = [(name.ljust(width), lines[name]) for name in section.commands]
                formatter.write_dl(rows)


app = typer.Typer(
    name="ocsync",
    cls=_RootGroup,
    help=_SUMMARY,
    epilog=" ".join(_READ_ON[1:]),
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _show_version(ctx: typer.Context, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        write_text(sys.stdout, f"ocsync {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", "-V", help="Show the version.", callback=_show_version, is_eager=True
    ),
) -> None:
    del version


@functools.cache
def tree() -> Any:
    """Return the command tree, built once per process; it loads a command when it is named."""
    root: Any = get_command(app)
    root.commands = _Commands()
    return root


def run(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code; print an error as a line on stderr."""
    words = behind_command(sys.argv[1:] if arguments is None else arguments)
    return run_guarded(words, lambda console: _call(console, words))


def _call(console: Console, words: list[str]) -> int:
    try:
        return int(tree()(words, prog_name="ocsync", standalone_mode=False) or 0)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except SystemExit:  # of typer's help whose reader is gone
        return ExitCode.DONE
    except Exception as error:
        if isinstance(error, _USAGE_ERROR):
            return _report_usage(console, error, words)
        raise


def _overview() -> list[str]:
    """Return the lines of the shortest help: the commands by section, with an example of each."""
    lines = ["Usage: ocsync COMMAND [OPTIONS]", "", _SUMMARY, ""]
    for section in SECTIONS:
        lines.append(f"  {section.title:<8} {', '.join(section.commands)}")
        lines.append(f"  {'':<10} {section.example}")
    return [*lines, "", *_READ_ON]


def _report_usage(console: Console, error: BaseException, words: list[str]) -> int:
    from ocsync.cli.usage_text import named_command, usage_text

    context = getattr(error, "ctx", None)
    path, named = named_command(tree(), words)
    message = usage_text(error, named)
    path = context.command_path if context else path
    if type(error).__name__ == "NoArgsIsHelpError":
        text = "\n".join(_overview()) if path == "ocsync" else message
        sys.stdout.write(text + "\n")
        return ExitCode.DONE
    console.error_document(
        {
            "error": UsageError.__name__,
            "exit_code": int(ExitCode.USAGE),
            "message": message,
            "hint": f"{path} --help",
        }
    )
    if not console.json:
        console.alert(message)
        console.alert(f"  next: {path} --help", "")
    return ExitCode.USAGE
