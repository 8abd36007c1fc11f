"""The format of help: options under their headings, names and ranges without decoration."""

from __future__ import annotations

import inspect
import re
from typing import Any

from typer.core import TyperCommand

COMMON = "Common options"
EXAMPLES = "\n\nExamples:\n"
"""The text that separates the examples of a command from what its help says before them."""

BARE = "yes"
"""The value of an option with an optional value that is given without one."""


class Command(TyperCommand):
    """A command whose help has a section for each heading (`rich_help_panel`) of its options."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words after the command's name, as `REF [FIELD=VALUE...]`."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse *args*; an option with an optional value has one only if it is written with `=`."""
        bare = {name for option in self.params for name in option.opts if is_optional(option)}
        end = args.index("--") if "--" in args else len(args)
        words = [f"{word}={BARE}" if word in bare else word for word in args[:end]]
        return list(super().parse_args(ctx, [*words, *args[end:]]))

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the text, and the examples as they are typed."""
        whole = self.help or ""
        self.help, _, examples = whole.partition(EXAMPLES)
        super().format_help_text(ctx, formatter)
        self.help = whole
        if examples:
            with formatter.section("Examples"):
                for line in inspect.cleandoc(examples).splitlines():
                    formatter.write(" " * formatter.current_indent + line + "\n")

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections, and the options that every command has in one line."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                name, text = record
                row = (re.sub(r"<(.+)>", r"\1", name), _plain(text))
                sections.setdefault(_heading(parameter), []).append(row)
        common = sections.pop(COMMON, [])
        for heading, rows in sections.items():
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)
        names = ", ".join(name for name, _ in common)
        formatter.write_paragraph()
        formatter.write_text(f"{COMMON} (ocsync help options): {names}.")


def is_optional(parameter: Any) -> bool:
    """Return whether the value of an option may be left out, as its metavar `[=VALUE]` says."""
    return str(parameter.metavar or "").startswith("[=")


def _heading(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return "Arguments"
    panel: str | None = getattr(parameter, "rich_help_panel", None)
    return panel or (COMMON if "--help" in parameter.opts else "Options")


def _plain(text: str) -> str:
    """Return *text* without what the usage line shows, and with ranges in words."""
    text = re.sub(r"; x>=\d+|  \[x>=\d+\]|  \[required\]$", "", text)
    return re.sub(r"(\d+)<=x<=(\d+)", r"\1 to \2", text.replace("default: 0.0", "default: 0"))
