"""What a command may load, and that help, README and code say the same."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from inspect import cleandoc
from pathlib import Path

import pytest

from ocsync.cli.app import tree
from ocsync.errors import ExitCode
from tests.conftest import Run
from tests.processes import call

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
HEAVY = {
    "httpx",
    "aiohttp",
    "starlette",
    "uvicorn",
    "ocsync.emulator",
    "rich",
    "msgspec",
    "asyncio",
}
WATCH = f"""
import sys
from ocsync.cli.app import run
code = run(sys.argv[1:])
print("LOADED", *({HEAVY!r} & sys.modules.keys()))
sys.exit(code)
"""
PROFILE = ("--environment", "useast-sandbox", "--client-id", "c", "--secret-env", "S")


def loaded(*words: str) -> set[str]:
    """The heavy modules that a command loads."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"`ocsync {' '.join(words)}` failed:\n{done.stdout}{done.stderr}"
    return set(done.stdout.rpartition("LOADED")[2].split())


def refuse(words: Sequence[str], modules: Collection[str]) -> None:
    """Fail if the command loads one of *modules*."""
    found = loaded(*words) & set(modules)
    assert not found, (
        f"`ocsync {' '.join(words)}` loads {', '.join(sorted(found))}, which is too slow for it; "
        "import what needs it inside the function that does"
    )


def test_short_commands_load_nothing_heavy(run: Run) -> None:
    run("init")
    run("profile", "add", "x", *PROFILE)
    for words in (["status", "--offline"], ["resume", "--help"], ["--help"]):
        refuse(words, HEAVY)


def test_planning_loads_no_http(run: Run) -> None:
    run("profile", "add", "x", *PROFILE)
    for words in (["plan"], ["stage", "list"], ["history"]):
        refuse(words, {"httpx", "aiohttp", "starlette", "rich"})


def commands() -> list[str]:
    """The names of all commands, as they are typed."""
    return [
        " ".join([name, *inner])
        for name, one in tree().commands.items()
        for inner in ([[word] for word in one.commands] if hasattr(one, "commands") else [[]])
    ]


DEFAULTS = {"history show": "history"}
"""The commands that run when a group is named alone; the README has the group's name for them."""


@pytest.mark.parametrize("name", commands())
def test_every_command_has_a_row_in_the_readme(name: str) -> None:
    lines = README.splitlines()
    cells = [re.split(r"(?<!\\)\|", line)[1] for line in lines if line.startswith("| `")]
    rows = [set(re.findall(r"[\w-]+", cell)) for cell in cells]
    words = set(DEFAULTS.get(name, name).split())
    assert any(words <= row for row in rows), f"README.md has no row for `ocsync {name}`"


@pytest.mark.parametrize("name", commands())
def test_every_command_has_help_and_exit_codes(run: Run, name: str) -> None:
    shown = run(*name.split(), "--help")
    assert shown.code == 0, f"`ocsync {name} --help` ended with {shown.code}"
    text = " ".join(shown.out.split())
    assert "Exit codes: 0 done" in text, f"the help of `ocsync {name}` lists no exit codes"
    assert "--json" in text, f"`ocsync {name}` does not take --json: register it with @command"


@pytest.mark.parametrize("name", commands())
def test_help_says_what_an_option_takes(run: Run, name: str) -> None:
    """Each option and argument has a word for its value, and each section a heading."""
    shown = run(*name.split(), "--help").out
    usage = shown.splitlines()[0]
    assert "{" not in usage, f"an argument of `ocsync {name}` has no metavar: {usage}"
    types = re.findall(r"<\w[^>]*>", shown)
    assert not types, f"options of `ocsync {name}` show a type and need a metavar: {types}"
    ranges = re.findall(r"\S*(?:<=|x>=|\[required\])\S*", shown)
    assert not ranges, f"the help of `ocsync {name}` shows ranges as typer writes them: {ranges}"
    arguments = shown.partition("Arguments:")[2].partition("\n\n")[0]
    bare = re.findall(r"^  [a-z]\w*", arguments, re.MULTILINE)
    assert not bare, f"arguments of `ocsync {name}` have no metavar: {bare}"
    own, heading, _ = shown.partition("Common options")
    assert heading, f"the help of `ocsync {name}` has no section for the common options"
    mixed = re.findall(r"^  (?:-q, )?--(?:json|profile|quiet)\b", own, re.MULTILINE)
    assert not mixed, f"the help of `ocsync {name}` has common options among its own: {mixed}"


@pytest.mark.parametrize("group", ["", "profile", "stage"])
def test_the_first_line_of_help_fits(run: Run, group: str) -> None:
    lines = run(*group.split(), "--help").out.splitlines()
    cut = [line for line in lines if line.startswith("  ") and line.endswith("...")]
    assert not cut, f"the first line of these commands' help is too long: {cut}"


def test_the_readme_lists_every_exit_code() -> None:
    listed = README.partition("\nExit codes:")[2].partition("\n\n")[0]
    numbers = set(map(int, re.findall(r"\b\d+\b", listed)))
    missing = {f"{int(code)} ({code.name})" for code in ExitCode if code not in numbers}
    assert not missing, f"README.md does not list these exit codes: {', '.join(sorted(missing))}"


def test_version(run: Run) -> None:
    from ocsync import __version__

    assert run("--version").out == f"ocsync {__version__}\n"


def test_the_demo_proves_itself(tmp_path: Path) -> None:
    """What each way takes is counted at a signed listener; the README says just that."""
    done = call("demo")
    assert done.code == 0, f"the demo failed:\n{done.out}{done.err}"
    for line in ("$ ocsync resume --verify", "200 of 200 heard by the listener"):
        assert line in done.out, f'the demo does not show "{line}":\n{done.out}'
    figures = done.out.partition("-- figures ")[2].splitlines()[1:]
    end = figures.pop()
    assert end.startswith("✓ all marketplaces ended alike"), f"the demo ends with: {end}"
    table = "".join(f"    {line}\n" for line in figures)
    assert table in README, f"README.md does not have the table that the demo shows:\n{table}"


def test_the_contributing_guide_names_what_exists() -> None:
    guide = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = re.findall(r"\b(?:ocsync|tests)/[\w/.]*\b/?|\.ci/\w+", guide)
    missing = [path for path in paths if "NAME" not in path and not (ROOT / path).exists()]
    assert not missing, f".github/CONTRIBUTING.md names files that do not exist: {missing}"
    code = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/*.py"))
    unknown = [name for name in re.findall(r"`(test_\w+)`", guide) if f"def {name}(" not in code]
    assert not unknown, f".github/CONTRIBUTING.md names tests that do not exist: {unknown}"


CLAUSE = re.compile(
    r"(What|How|Where|Who|Whom|Whose|Which|When|Whenever|Whether|Whatever|Why|That|If|Those that)\b"
)
NO_VERB = re.compile(
    r"(The|An?|Those|These|This|That|Its?|Their|Our|Each|Every|Some|Any|All|Both|No|None|Not|Of|In|On"
    r"|At|By|For|From|To|With|Without|As|After|Before|Between|Under|Over|True|False|One|Two)\b|[^A-Z]"
)
PROPERTIES = {"property", "cached_property", "functools.cached_property"}
THIRD_PERSON = re.compile(r"[A-Z][a-z]*[^s\W]s\b")


def docstrings(path: Path) -> Iterator[tuple[int, bool, str]]:
    """The docstrings of a file and the strings below its constants and fields.

    Each with its line, and whether it is a function's (a property is described as a noun is).
    """
    described = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, described):
            decorators = {ast.unparse(one) for one in getattr(node, "decorator_list", ())}
            is_function = "Function" in type(node).__name__ and not decorators & PROPERTIES
            for statement in node.body:
                match statement:
                    case ast.Expr(value=ast.Constant(value=str(text))):
                        yield statement.lineno, is_function, cleandoc(text)
                    case _:
                        pass


def test_docstrings_are_sentences() -> None:
    """A function's begins with a verb, every other one with a noun; none is a bare clause."""
    wrong = []
    for path in sorted((ROOT / "ocsync").rglob("*.py")):
        for line, function, text in docstrings(path):
            first = text.partition("\n\n")[0]
            faults = [
                "does not end with a period" * (not first.endswith(".")),
                "begins with a bare clause" * bool(CLAUSE.match(first)),
                "begins with no verb" * bool(function and NO_VERB.match(first)),
                "begins with no imperative" * bool(function and THIRD_PERSON.match(first)),
            ]
            wrong += [
                f"{path.relative_to(ROOT)}:{line} {fault}: {first}" for fault in faults if fault
            ]
    assert not wrong, "\n".join(["these docstrings are no sentences:", *wrong])
