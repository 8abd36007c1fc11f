"""What a command may load, and that help, README and code say the same."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from inspect import cleandoc
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from ocsync.cli.app import tree
from ocsync.errors import ExitCode
from tests.conftest import Run
from tests.demo_picture import NAMESPACE, PICTURE, TITLE, story, text_lines, timeless
from tests.processes import call
from tests.render.test_run_page import check_closed

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SERVER = {"starlette", "uvicorn", "ocsync.emulator"}
NETWORK = {*SERVER, "httpx", "aiohttp", "asyncio", "ssl", "rich", "ocsync.client.factory"}
"""Modules that only a command needs which signs in, listens, or draws."""
DATA = {"msgspec", "ocsync.models", "ocsync.schema"}
WORK = {"ocsync.engine", "ocsync.intake", "ocsync.client", "ocsync.delivery"}
HEAVY = {*NETWORK, *DATA, *WORK, "hashlib", "platformdirs", "filelock", "tomli_w"}
SLOW_START = {*HEAVY, "typer", "inspect", "dataclasses", "subprocess", "shutil", "socket"}
PROFILE = ("--environment", "useast-sandbox", "--client-id", "c", "--secret-env", "S")
REF = "inventory/P1/R1"
LOCAL: dict[str, tuple[str, set[str]]] = {
    "init": ("init", HEAVY - {"tomli_w", "platformdirs"}),
    "profile add": (f"profile add y {' '.join(PROFILE)}", NETWORK | WORK),
    "profile list": ("profile list", NETWORK | WORK),
    "profile show": ("profile show", NETWORK | WORK),
    "profile use": ("profile use x", HEAVY - {"tomli_w", "platformdirs"}),
    "profile trust": ("profile trust x --yes", NETWORK | WORK),
    "profile remove": ("profile remove y --yes", NETWORK | {"ocsync.intake"}),
    "stage set": (
        f"stage set {REF} QuantityAvailable=4",
        NETWORK | {"ocsync.intake.reader", "csv"},
    ),
    "stage put": ("stage put catalog/C Name=x", NETWORK | {"ocsync.intake.reader", "csv"}),
    "stage adjust": (f"stage adjust {REF} QuantityAvailable+=1", NETWORK),
    "stage assign": ("stage assign catalog-product/C/P", NETWORK),
    "stage generate": ("stage generate product/P", NETWORK),
    "stage import": ("stage import edits.csv", NETWORK),
    "stage map": ("stage map inventory edits.csv", NETWORK | {"ocsync.engine", "ocsync.client"}),
    "stage list": ("stage list", NETWORK | WORK),
    "stage show": (f"stage show {REF}", NETWORK | {"ocsync.intake", "ocsync.client"}),
    "stage export": ("stage export -", NETWORK | {"ocsync.engine", "ocsync.client"}),
    "stage template": ("stage template inventory", NETWORK | {"ocsync.engine", "ocsync.client"}),
    "plan": ("plan", NETWORK | {"ocsync.intake", "ocsync.client"}),
    "stage drop": (f"stage drop {REF}", NETWORK | {"ocsync.intake", "ocsync.client"}),
    "stage clear": ("stage clear --yes", NETWORK | {"ocsync.intake", "ocsync.client"}),
    "history show": ("history", NETWORK | {"ocsync.intake", "ocsync.client"}),
    "history prune": (
        "history prune --keep 1 --dry-run",
        NETWORK | {"ocsync.intake", "ocsync.client"},
    ),
    "expire": ("expire", HEAVY),
    "listen log": ("listen log", NETWORK),
    "help": ("help", HEAVY),
    "version": ("version", HEAVY),
    "completion": ("completion bash", HEAVY),
    "schema": ("schema plan", NETWORK),
    "status": ("status --offline", HEAVY),
    "profile edit": ("profile edit x --client-id other", NETWORK),
    "profile rename": ("profile rename x y", NETWORK),
}
"""The commands that ask no server: words to run each with, in this order, and what it must not
load. The other commands are held to what their help needs.
"""
ASKS_A_SERVER = {
    "login", "probe", "profile check", "targets", "pause", "resume", "verify", "unpause", "window", "delete",
    "rollback", "resync", "doctor", "delivery list", "delivery show", "delivery apply",
    "delivery bind", "delivery unbind", "delivery attach", "delivery detach", "export", "compare",
    "listen http", "listen kafka", "emulator", "demo",
}  # fmt: skip
QUICK = (
    "--version", "status --offline", "status --offline --json", "complete: stage im",
    "complete: stage set inv", "complete: stage show inv", "complete: stage set inventory/P/R Q",
    "complete: verify x", "complete: profile use x", "complete: help x",
)  # fmt: skip
"""What the dispatcher answers."""
_HOST = """
import os, sys

preload, *lines = sys.argv[1:]
if preload:
    from ocsync.cli.app import run
else:
    from ocsync.cli import dispatch
    from ocsync.cli.leading_options import behind_command

    def run(words):
        return dispatch.answer(behind_command(words))
for line in lines:
    read, write = os.pipe()
    if child := os.fork():
        os.close(write)
        with open(read) as answer:
            sys.stdout.write(answer.read())
        os.waitpid(child, 0)
    else:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if line.startswith("complete: "):
            os.environ["_OCSYNC_COMPLETE"] = "zsh"
        code = run(line.split())
        with open(write, "w") as answer:
            print(code, *sys.modules, file=answer)
        os._exit(0)
    sys.stdout.flush()
"""


def loaded(lines: Collection[str], *, preload: bool = True) -> dict[str, set[str]]:
    """The modules that each command line loads, in a process of its own; they run in order."""
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork on Windows")
    command = [sys.executable, "-c", _HOST, "yes" if preload else "", *lines]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [line.split() for line in done.stdout.splitlines()]
    codes = {line: code for line, (code, *_) in zip(lines, found, strict=True)}
    assert {*codes.values()} == {"0"}, f"{codes}\n{done.stderr}"
    return {line: set(modules) for line, (_, *modules) in zip(lines, found, strict=True)}


def refuse(rows: Mapping[str, Collection[str]], *, preload: bool = True) -> None:
    """Fail if one of the command lines loads what its row names."""
    wrong = [
        f"`ocsync {line}` loads {', '.join(sorted(modules & {*rows[line]}))}"
        for line, modules in loaded(rows, preload=preload).items()
        if modules & {*rows[line]}
    ]
    text = "which is too slow for it; import what needs it inside the function that does"
    assert not wrong, "\n".join([*wrong, text])


@pytest.mark.slow
def test_commands_load_what_they_need(run: Run) -> None:
    Path("edits.csv").write_text("ref,QuantityAvailable\ninventory/P2/R1,1\n", encoding="utf-8")
    run("init")
    run("profile", "add", "x", *PROFILE)
    refuse(dict(LOCAL.values()))


@pytest.mark.slow
def test_help_loads_no_work() -> None:
    rows = {f"{name} --help": HEAVY for name in commands()}
    rows["stage template --help"] = HEAVY - DATA  # it lists the kinds
    refuse({"--help": HEAVY | {"ocsync.cli.stage", "ocsync.cli.init"}, **rows})


def test_short_questions_load_no_typer(run: Run) -> None:
    run("profile", "add", "x", *PROFILE)
    refuse(dict.fromkeys(QUICK, SLOW_START), preload=False)
    refuse({"--version": {*SLOW_START, "re", "typing", "pathlib", "json"}}, preload=False)


def test_the_offline_checks_load_no_http(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S", "x")
    run("profile", "add", "x", *PROFILE)
    refuse({"doctor --offline --profile x": NETWORK - {"ssl"}})


def test_every_command_is_held_to_something() -> None:
    assert {*LOCAL, *ASKS_A_SERVER} == {*commands()}


def commands() -> list[str]:
    """The names of all commands, as they are typed."""
    return [
        " ".join([name, *inner])
        for name, one in tree().commands.items()
        for inner in ([[word] for word in one.commands] if hasattr(one, "commands") else [[]])
    ]


def test_the_readme_is_short_and_leads_somewhere() -> None:
    assert len(README.encode()) <= 8192
    linked = re.findall(r"\]\(([^)#]+)\)", README)
    assert linked
    assert not [path for path in linked if not (ROOT / path).exists()]
    pages = {path.stem for path in (ROOT / "ocsync" / "guide").glob("*.md")}
    missing = pages - {Path(path).stem for path in linked}
    assert not missing, f"README.md does not link these pages of the guide: {missing}"


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


def test_the_guide_lists_every_exit_code() -> None:
    page = (ROOT / "ocsync" / "guide" / "exit-codes.md").read_text(encoding="utf-8")
    numbers = set(map(int, re.findall(r"^\| (\d+) \|", page, re.MULTILINE)))
    assert numbers == {int(code) for code in ExitCode}


def test_version(run: Run) -> None:
    from ocsync import __version__

    assert run("--version").out == f"ocsync {__version__}\n"


def test_the_demo_proves_itself(tmp_path: Path) -> None:
    """What each way takes is counted at a signed listener; the README says just that."""
    done = call("demo", "--report", "demo.html")
    assert done.code == 0, f"the demo failed:\n{done.out}{done.err}"
    for line in ("$ ocsync resume --verify", "the listener received 200 of 200"):
        assert line in done.out, f'the demo does not show "{line}":\n{done.out}'
    drawn = [timeless(line) for line in text_lines(PICTURE.read_text(encoding="utf-8"))]
    shown = [timeless(line) for line in story(done.out) if line]
    assert drawn == shown, "the demo shows other words: python -m tests.demo_picture"
    figures = done.out.partition("-- figures ")[2].splitlines()[1:]
    end = figures.pop()
    assert end.startswith("✓ all marketplaces end with the same data"), f"the demo ends with: {end}"
    table = "".join(f"    {line}\n" for line in figures)
    assert table in README, f"README.md does not have the table that the demo shows:\n{table}"
    page = Path("demo.html").read_text(encoding="utf-8")
    check_closed(page)
    assert page.count("<article") == 3, "the costs, and both runs"
    assert page.count("Messages at the delivery target since the unpause</h2>") == 2
    assert call("demo", "--report", "no/such/demo.html").code == 66


def test_the_picture_of_the_readme_is_closed() -> None:
    picture = PICTURE.read_text(encoding="utf-8")
    check_closed(picture.replace(NAMESPACE, ""))
    assert f"![{TITLE}](examples/{PICTURE.name})" in README
    root = Xml.fromstring(picture)
    (title,) = root.findall(f"{{{NAMESPACE}}}title")
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", title.get("id"))
    assert title.text == TITLE


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
