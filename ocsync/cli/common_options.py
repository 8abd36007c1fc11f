"""The options that every command has, and the variable that sets each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple


class CommonOption(NamedTuple):
    """An option of every command; the variable *env* sets it too. A *kind* of bool is a flag."""

    names: tuple[str, ...]
    env: str
    help: str
    kind: type[bool] | type[str] | type[Path] = bool
    metavar: str | None = None

    @property
    def default(self) -> Any:
        """Value of the option where nothing sets it."""
        return {bool: False, str: "", Path: None}[self.kind]


COMMON_OPTIONS = {
    "json": CommonOption(("--json",), "OCSYNC_JSON", "Print JSON on standard output."),
    "profile": CommonOption(("--profile",), "OCSYNC_PROFILE", "Use this profile.", str, "PROFILE"),
    "workspace": CommonOption(
        ("--workspace",), "OCSYNC_WORKSPACE", "Use this .ocsync folder.", Path, "DIR"
    ),
    "quiet": CommonOption(("--quiet", "-q"), "OCSYNC_QUIET", "Print results only."),
    "verbose": CommonOption(("--verbose", "-v"), "OCSYNC_VERBOSE", "Print every step."),
    "no_color": CommonOption(("--no-color",), "OCSYNC_NO_COLOR", "Print without colour."),
    "no_input": CommonOption(("--no-input",), "OCSYNC_NO_INPUT", "Never prompt."),
}
"""The options by the name of their parameter of `Context.start`."""
TRUE_WORDS = ("1", "true", "t", "yes", "y", "on")
FALSE_WORDS = ("", "0", "false", "f", "no", "n", "off")
"""The values of a variable that turn an option on and off, as typer reads them in any case."""
