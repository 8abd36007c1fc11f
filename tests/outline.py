"""Writes the outline of the command line, which completion and the root's help read, and the
guide's page of all commands.

    python -m tests.outline

`tests/cli/test_completion.py` says when that is due: after every change of a command, an option or
the first line of a help text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from typer.core import TyperGroup, TyperOption

from ocsync.cli.app import SECTIONS, tree
from ocsync.cli.common_options import COMMON_OPTIONS
from ocsync.cli.completion_scripts import SCRIPTS
from ocsync.cli.completion_values import DIRECTIVES, SOURCES
from ocsync.cli.help_format import is_optional
from ocsync.cli.outline import PATH
from ocsync.engine.probe.questions import QUESTIONS
from ocsync.render.json_schemas import schema_names
from ocsync.risks import GUARDED
from ocsync.schema import GROUPS, KINDS, TARGETS, stageable_fields
from ocsync.store.profiles import ENVIRONMENTS

PAGE = PATH.parent.parent / "guide" / "commands.md"
_COMMON = {option.names[0] for option in COMMON_OPTIONS.values()} | {"-h"}


def outline() -> dict[str, Any]:
    """The outline, as it is to be in the file."""
    root = tree()
    commands = dict(_walk(root, root.context_class(root, **root.context_settings)))
    common = [node.pop("common") for node in commands.values() if "common" in node]
    assert all(rows == common[0] for rows in common), "they are the same everywhere"
    return {
        "common": common[0],
        "commands": commands,
        "words": _words(),
        "fields": _fields(),
    }


def _walk(command: Any, context: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    parameters = command.get_params(context)
    options = [p for p in parameters if isinstance(p, TyperOption) and not p.hidden]
    rows = [_option(option) for option in options]
    if not isinstance(command, TyperGroup):
        size = len(_COMMON)
        assert {row["names"][0] for row in rows[-size:]} == _COMMON, f"{path}: these come last"
        arguments = [_argument(p) for p in parameters if p not in options]
        yield path, {"options": rows[:-size], "arguments": arguments, "common": rows[-size:]}
        return
    group: Any = command
    named = {name: group.get_command(context, name) for name in group.list_commands(context)}
    summaries = [[name, one.get_short_help_str(limit=1000)] for name, one in named.items()]
    default = getattr(command, "default_command", "")
    yield (
        path,
        {"options": rows, "commands": summaries, **({"default": default} if default else {})},
    )
    for name, one in named.items():
        inner = one.context_class(one, info_name=name, parent=context, **one.context_settings)
        yield from _walk(one, inner, f"{path} {name}".strip())


def _option(option: Any) -> dict[str, Any]:
    assert not option.count, f"{option.name} is a flag or takes values"
    value = {} if option.is_flag else {"completes": _completes(option)}
    optional = {"optional": True} if is_optional(option) else {}
    repeats = {"repeats": True} if option.multiple else {}
    names = [*option.opts, *option.secondary_opts]
    if "--help" in names:
        names.sort(key=len)  # typer has them from a set
    return {"names": names, "help": option.help, **value, **optional, **repeats}


def _argument(argument: Any) -> dict[str, Any]:
    many = {"many": True} if argument.nargs == -1 else {}
    after = {"after": "FILE"} if " -- " in str(argument.metavar) else {}
    return {"completes": _completes(argument), **many, **after}


def _completes(parameter: Any) -> list[str | list[str]]:
    """What completes each word of a value, by its metavar: a source, words, or "" for nothing."""
    choices = getattr(parameter.type, "choices", None)
    if choices:
        return [list(choices)]
    metavar = str(parameter.metavar).removeprefix("[=").partition(" -- ")[0]
    return [_completes_word(word.strip("[].")) for word in metavar.split()]


def _completes_word(word: str) -> str | list[str]:
    if word in SOURCES or word in DIRECTIVES:
        return word
    if word in FREE:
        return ""
    assert word == word.lower() or word in CHOICES, f"completion does not know the metavar {word}"
    return word.split("|")


FREE = {
    "7d|DATE", "90d", "ADDRESS", "B", "C", "C/CAT", "FIELD,", "FIELD=EXPRESSION", "CMD", "CONFIG", "HOST", "HOST:PORT,", "HOST:PORT", "ID", "MS", "N", "NAME", "NEW", "S",
    "CHARACTER", "FIELD=HEADER", "FORMAT", "HEADER", "QUERY",
    "TEXT", "TIME", "TOPIC", "URL",
}  # fmt: skip
"""The metavars of values that only the operator knows."""
CHOICES = {"PLAIN|SCRAM-SHA-256|SCRAM-SHA-512"}
"""The metavars that list choices in capital letters."""


def _words() -> dict[str, list[list[str]]]:
    """The words of the tables, with their descriptions."""
    targets = [[name, "sync target"] for name in TARGETS]
    groups = [[name, ", ".join(members)] for name, members in GROUPS.items()]
    return {
        "TARGET": [*targets, *groups],
        "KIND": [[name, kind.noun] for name, kind in KINDS.items()],
        "REGION-ENV": [[name, url] for name, url in ENVIRONMENTS.items()],
        "RISK": [[name] for name in GUARDED],
        "QUESTION": [[name, question.text] for name, question in QUESTIONS.items()],
        "SHELL": [[name] for name in SCRIPTS],
        "SCHEMA": [[name] for name in schema_names()],
    }


def _fields() -> dict[str, list[list[str]]]:
    """The fields of each kind that can be staged, with their types."""
    return {
        name: [[path, kind.fields[path].type.value] for path in stageable_fields(kind)]
        for name, kind in KINDS.items()
    }


def text() -> str:
    """The file's content: a line for each command and each common option."""
    found = outline()

    def line(thing: Any) -> str:
        return json.dumps(thing, ensure_ascii=False)

    common = ",\n".join(map(line, found["common"]))
    commands = ",\n".join(f"{line(path)}: {line(node)}" for path, node in found["commands"].items())
    tables = ",\n".join(f'"{name}": {line(found[name])}' for name in ("words", "fields"))
    return f'{{"common": [\n{common}\n],\n"commands": {{\n{commands}\n}},\n{tables}}}\n'


def page() -> str:
    """The guide's page of all commands."""
    nodes = outline()["commands"]
    lines = [
        "# Commands", "",
        "`ocsync help COMMAND` shows a command's options, examples and exit codes. Every command also takes",
        "the options of `ocsync help options`.",
    ]  # fmt: skip
    for section in SECTIONS:
        lines += ["", f"## {section.title}", "", "| command | |", "| --- | --- |"]
        for name in section.commands:
            inner = nodes[name].get("commands")
            rows = [(f"{name} {word}", texts[-1]) for word, *texts in inner or ()]
            texts = next(texts for word, *texts in nodes[""]["commands"] if word == name)
            rows = rows or [(name, texts[-1])]
            lines += [f"| `{words}` | {text} |" for words, text in rows]
    for words, help_text in _helps(tree(), None):
        block = [f"    {line}".rstrip() for line in help_text.splitlines()]
        lines += ["", f"## ocsync {words}", "", *block]
    return "\n".join(lines) + "\n"


def _helps(command: Any, above: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The help of each command, as a terminal of 80 columns shows it."""
    settings = {**command.context_settings, "terminal_width": 76}
    context = command.context_class(
        command, info_name=path.rpartition(" ")[2] or "ocsync", parent=above, **settings
    )
    if not isinstance(command, TyperGroup):
        yield path, command.get_help(context)
        return
    group: Any = command
    for name in group.list_commands(context):
        yield from _helps(group.get_command(context, name), context, f"{path} {name}".strip())


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
