"""What a command may load, and that help, README and code say the same."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import pytest
import typer

from ocsync.cli.app import app
from ocsync.errors import ExitCode
from tests.conftest import Run

ROOT = Path(__file__).parent.parent
HEAVY = [
    "httpx",
    "aiohttp",
    "starlette",
    "uvicorn",
    "ocsync.emulator",
    "rich",
    "msgspec",
    "asyncio",
]
WATCH = f"""
import sys
from ocsync.cli.app import run
code = run(sys.argv[1:])
print('LOADED', [m for m in {HEAVY} if m in sys.modules])
sys.exit(code)
"""


def loaded(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", WATCH, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.rpartition("LOADED ")[2].strip()


def test_short_commands_load_nothing_heavy(run: Run) -> None:
    run("init")
    run(
        "profile",
        "add",
        "x",
        "--environment",
        "useast-sandbox",
        "--client-id",
        "c",
        "--secret-env",
        "S",
    )
    assert loaded("status", "--offline") == "[]"
    assert loaded("resume", "--help") == "[]"
    assert loaded("--help") == "[]"
    assert loaded("help", "exit-codes") == "[]"


def test_planning_loads_no_http(run: Run) -> None:
    run(
        "profile",
        "add",
        "x",
        "--environment",
        "useast-sandbox",
        "--client-id",
        "c",
        "--secret-env",
        "S",
    )
    for words in (["plan"], ["stage", "list"], ["history"]):
        assert not set(re.findall(r"\w+", loaded(*words))) & {
            "httpx",
            "aiohttp",
            "starlette",
            "rich",
        }


def commands() -> list[tuple[str, typer.models.CommandInfo]]:
    groups = {g.name: g.typer_instance for g in app.registered_groups}
    found = [(c.name or "", c) for c in app.registered_commands]
    for name, group in groups.items():
        assert group
        found += [(f"{name} {c.name}", c) for c in group.registered_commands]
    return found


@pytest.mark.parametrize(
    ("name", "info"), commands(), ids=lambda v: v if isinstance(v, str) else ""
)
def test_every_command_has_help_exit_codes_and_a_line_in_the_readme(
    run: Run, name: str, info: typer.models.CommandInfo
) -> None:
    shown = run(*name.split(), "--help")
    assert shown.code == 0
    assert "Exit codes: 0 done" in " ".join(shown.out.split())
    assert "--json" in shown.out
    readme = (ROOT / "README.md").read_text()
    noun, _, verb = name.partition(" ")
    row = next(
        line for line in readme.splitlines() if re.match(rf"\| `{noun}\b|.*[`,/ ]{noun}[` ]", line)
    )
    assert verb in readme if verb else row


@pytest.mark.parametrize(
    ("name", "info"), commands(), ids=lambda v: v if isinstance(v, str) else ""
)
def test_help_says_what_an_option_takes(
    run: Run, name: str, info: typer.models.CommandInfo
) -> None:
    """Each option and argument has a word for its value, and each section a heading."""
    del info
    shown = run(*name.split(), "--help").out
    assert "{" not in shown.splitlines()[0]
    assert not re.search(r"<\w", shown), "a type's name is no word for a value"
    assert not re.search(r"<=|x>=|\[required\]", shown)
    arguments = shown.partition("Arguments:")[2].partition("\n\n")[0]
    assert not re.search(r"^  [a-z]", arguments, re.MULTILINE)
    own, common, _ = shown.partition("Common options")
    assert common
    assert not re.search(r"^  (-q, )?--(json|profile|quiet)\b", own, re.MULTILINE)


@pytest.mark.parametrize("group", ["", "profile", "stage"])
def test_the_first_line_of_help_fits(run: Run, group: str) -> None:
    lines = run(*group.split(), "--help").out.splitlines()
    assert not [line for line in lines if line.startswith("  ") and line.endswith("...")]


def test_the_readme_lists_every_exit_code() -> None:
    readme = (ROOT / "README.md").read_text()
    for code in ExitCode:
        assert re.search(rf"\b{int(code)}\b", readme)


def test_version(run: Run) -> None:
    from ocsync import __version__

    assert run("--version").out == f"ocsync {__version__}\n"


def test_the_demo_proves_itself(tmp_path: Path) -> None:
    """What each way takes is counted at a signed listener; the README says just that."""
    done = subprocess.run(
        [sys.executable, "-m", "ocsync", "demo"],
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "$ ocsync resume --verify" in done.stdout
    assert "200 of 200 heard by the listener" in done.stdout
    figures = done.stdout.partition("-- figures ")[2].splitlines()[1:]
    assert figures.pop().startswith("✓ all marketplaces ended alike")
    readme = (ROOT / "README.md").read_text()
    assert "".join(f"    {line}\n" for line in figures) in readme, "the README has its very table"


DESCRIBED = ("cli", "client", "delivery", "emulator", "engine", "intake", "render", "schema")
"""The packages whose docstrings are held to the rules below."""
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


@pytest.mark.parametrize("package", DESCRIBED)
def test_docstrings_are_sentences(package: str) -> None:
    """A function's begins with a verb, every other one with a noun; none is a bare clause."""
    wrong = []
    for path in sorted((ROOT / "ocsync").glob(f"{package}/**/*.py")):
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
