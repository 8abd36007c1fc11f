"""Shell completion: what it offers, that it never fails, and the scripts in real shells."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ocsync
from ocsync.cli.completion_reply import LIMIT, complete, split_line, unquote_powershell
from ocsync.cli.completion_scripts import SCRIPTS
from ocsync.cli.dispatch import answer
from ocsync.cli.outline import PATH, read_outline
from ocsync.schema import KINDS, TARGETS
from tests.conftest import Run
from tests.outline import PAGE, page, text

OLD = Path(__file__).parent.parent / "old_workspace/workspace"
PROFILE = ("--environment", "useast-sandbox", "--client-id", "c", "--secret-env", "S")
COMMANDS = read_outline()["commands"]
Ask = Callable[..., list[str]]


def test_the_outline_is_up_to_date() -> None:
    assert PATH.read_text(encoding="utf-8") == text(), "write it again: python -m tests.outline"
    assert PAGE.read_text(encoding="utf-8") == page(), "write it again: python -m tests.outline"


@pytest.fixture
def ask(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """The answer's lines to a line whose end is to be completed; words are separated by blanks."""

    def lines(line: str, shell: str = "zsh") -> list[str]:
        words = line.split(" ")
        broken = re.split("[=:]", words[-1])[-1]
        passed = [f"ocsync {line}", broken] if shell == "bash" else words
        monkeypatch.setenv("_OCSYNC_COMPLETE", shell)
        capfd.readouterr()
        code = answer(["complete", *passed])
        out, err = capfd.readouterr()
        assert (code, err) == (0, ""), line
        return out.splitlines()

    return lines


def words(lines: list[str]) -> list[str]:
    assert lines[0] == "words"
    return [line.partition("\t")[0] for line in lines[1:]]


@pytest.fixture
def filled(run: Run) -> Run:
    """A workspace with two profiles; the current one has edits and runs."""
    shutil.copytree(OLD, ".ocsync")
    assert run("profile", "add", "mine", *PROFILE, "--workspace", ".ocsync").code == 0
    with zipfile.ZipFile("book.xlsx", "w") as file:
        file.writestr(
            "xl/workbook.xml",
            '<w><sheets><sheet name="Stock take"/><sheet name="P"/><sheet name="Grö&apos;ße 1"/>'
            "</sheets></w>",
        )
    return run


@pytest.mark.parametrize(("line", "expected"), [
    ("sta", ["stage", "status"]),
    ("--json sta", ["stage", "status"]),
    ("stage im", ["import"]),
    ("resume --ver", ["--verify", "--verbose"]),
    ("resume --verify=", ["--verify=answers"]),
    ("resume --on-conflict ", ["fail", "skip", "overwrite"]),
    ("resume --on-conflict=s", ["--on-conflict=skip"]),
    ("resume --allow-risky z", ["zero-stock"]),
    ("pause ", [*TARGETS, "catalog-wide"]),
    ("pause inventory cata", ["catalogs", "catalog-wide"]),
    ("resync prod", ["products"]),
    ("resync products ", []),
    ("stage import --kind variant", ["variants", "variant", "variant-inventory", "variant-inventory-assignment"]),
    ("stage template usergroup-", ["usergroup-assignment"]),
    ("stage set varia", ["variants/", "variant/", "variant-inventory/", "variant-inventory-assignment/"]),
    ("stage set inventory/P1/R1 Q", ["QuantityAvailable="]),
    ("stage set inventory/P1/R1 A", ["AddressID=", "AllowAllBuyers="]),
    ("stage set catalog/C Active=", ["Active=true", "Active=false"]),
    ("stage set catalog/C --expect Active:=f", ["Active:=false"]),
    ("stage set catalog/C Name=", []),
    ("stage adjust inventory/P1/R1 ", ["QuantityAvailable+=", "NotificationPoint+="]),
    ("stage template product --expect Na", ["Name"]),
    ("stage import book.xlsx --sheet S", ["Stock take"]),
    ("stage import missing.xlsx --sheet ", []),
    ("stage show catalog/w", ["catalog/winter"]),
    ("stage show product/", ["product/boots", "product/compass"]),
    ("stage drop product/boots product/", ["product/compass"]),
    ("plan --explain catalog/w", ["catalog/winter"]),
    ("profile use ", ["acme", "lab", "mine", "sandbox", "vault"]),
    ("status --profile m", ["mine"]),
    ("profile add x --environment japan", ["japaneast-production", "japaneast-staging", "japaneast-sandbox"]),
    ("profile add x --secret-env TEST_S", ["TEST_SECRET"]),
    ("verify 0304", ["0304-0900"]),
    ("history 0304", ["0304-0900"]),
    ("history pr", ["prune"]),
    ("history --state ", ["open", "done", "failed"]),
    ("history --report ", ["html", "junit", "markdown", "csv"]),
    ("help exit", ["exit-codes"]),
    ("help stage te", ["template"]),
    ("completion ", [*SCRIPTS]),
    ("emulator --while-paused ", ["queue", "drop"]),
    ("version ", []),
    ("no-such-command ", []),
    ("stage set catalog/C --no-such-option Act", ["Active="]),
    ("stage show --profile mine ", []),
])  # fmt: skip
def test_what_is_offered(filled: Run, ask: Ask, line: str, expected: list[str]) -> None:
    assert words(ask(line)) == expected


@pytest.mark.parametrize(("line", "directive"), [
    ("stage import ", "files"), ("plan --out ", "files"), ("plan --out=x", "files"),
    ("resume --plan ", "files"), ("history --report csv ", "files"), ("init ", "folders"),
    ("status --workspace ", "folders"), ("window products -- ", "files"), ("window pro", "words"),
    ("stage set ", "words"), ("profile add ", "words"), ("pause --reason ", "words"),
])  # fmt: skip
def test_files_only_where_a_file_is_meant(ask: Ask, line: str, directive: str) -> None:
    assert ask(line)[0] == directive


def test_every_command_and_option_is_offered(ask: Ask) -> None:
    for path, node in COMMANDS.items():
        here = f"{path} ".lstrip()
        for name, summary in node.get("commands", ()):
            assert f"{name}\t{summary}" in ask(here)
        named = ask(f"{here}--")
        for option in node["options"]:
            long = [name for name in option["names"] if name.startswith("--")]
            assert all(f"{name}\t{option['help']}" in named for name in long), path
    assert "--json" not in words(ask("plan --json --"))
    assert "--expect" in words(ask("stage set x --expect a=b --")), "it can be given again"


def test_refs_are_those_of_the_journal(filled: Run, ask: Ask) -> None:
    """Edits that were dropped, or left with a run, are not offered."""
    exported = filled("stage", "export", "-").out.splitlines()
    assert words(ask("stage show ")) == sorted({json.loads(line)["ref"] for line in exported})
    assert len(words(ask("stage show "))) == 15


def test_a_large_journal_is_not_read_to_its_end(run: Run, ask: Ask) -> None:
    run("profile", "add", "mine", *PROFILE, "--workspace", ".ocsync")
    rows = (f"inventory/P{i}/R,{i}\n" for i in range(9_000))
    Path("edits.csv").write_text("ref,QuantityAvailable\n" + "".join(rows), encoding="utf-8")
    assert run("stage", "import", "edits.csv").code == 0
    assert len(words(ask("stage show "))) == LIMIT
    assert words(ask("stage show inventory/P123")) == [
        "inventory/P123/R", *(f"inventory/P123{i}/R" for i in range(10)),
    ]  # fmt: skip


def test_the_newest_run_comes_first(filled: Run, ask: Ask) -> None:
    lines = ask("verify ")
    runs = [
        json.loads(path.read_bytes())
        for path in Path().glob(".ocsync/profiles/acme/runs/*/run.json")
    ]
    newest = sorted(runs, key=lambda run: str(run["started"]), reverse=True)
    assert words(lines) == [run["id"] for run in newest]
    assert "0303-0900\tresume 2025-03-03 09:00 UTC, exit 5" in lines


def damage_journal() -> None:
    for path in Path(".ocsync/profiles/acme/journal").glob("*.jsonl"):
        path.write_bytes(b'\xff{"crc":"\n' + path.read_bytes()[::2])


def make_fifo() -> None:
    Path("book.xlsx").unlink()
    os.mkfifo("book.xlsx")


def make_loop() -> None:
    shutil.rmtree(".ocsync")
    Path(".ocsync").symlink_to(".ocsync")


def lose_folder() -> None:
    Path("gone").mkdir()
    os.chdir("gone")
    Path("../gone").resolve().rmdir()


@pytest.mark.parametrize("trouble", [
    lambda: shutil.rmtree(".ocsync"),
    lambda: Path(".ocsync/workspace.toml").write_text("="),
    lambda: shutil.rmtree(".ocsync/profiles/acme"),
    lambda: Path(".ocsync/profiles/acme/runs/0303-0900/run.json").write_text("[]"),
    lambda: Path("book.xlsx").write_bytes(b"PK\x03\x04"),
    damage_journal, make_fifo, make_loop, lose_folder,
])  # fmt: skip
def test_trouble_is_silent(
    filled: Run, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    trouble: Callable[[], Any],
) -> None:  # fmt: skip
    trouble()
    monkeypatch.setenv("_OCSYNC_COMPLETE", "zsh")
    for line in ("stage show ", "verify ", "profile use ", "stage import book.xlsx --sheet "):
        capfd.readouterr()
        assert answer(["complete", *line.split(" ")]) == 0
        assert capfd.readouterr().err == ""


def test_an_unknown_shell_gets_nothing(ask: Ask) -> None:
    """So do scripts of other programs that set the same variable."""
    assert ask("sta", "complete_bash") == []


OPTIONS = sorted(
    {name for node in COMMANDS.values() for row in node["options"] for name in row["names"]}
)
ANY = st.lists(
    st.sampled_from([*" ".join(COMMANDS).split(), *OPTIONS, *KINDS])
    | st.sampled_from(["", "-", "--", "'", "=", "--=", "--kind=", "catalog/C", "Active=", "ü", "a b", "\n", "\0"])
    | st.text(max_size=3),
    max_size=6,
)  # fmt: skip


@pytest.mark.slow
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(line=ANY, shell=st.sampled_from([*SCRIPTS]))
def test_any_line_is_answered(filled: Run, line: list[str], shell: str) -> None:
    found = complete(shell, line, {**os.environ, "_OCSYNC_WORDS": "\x1f".join(line)})
    first = found.partition("\n")[0]
    directive = json.loads(first)["directive"] if shell == "powershell" else first
    assert directive in ("words", "files", "folders")


@pytest.mark.parametrize(("typed", "parts", "start", "quote"), [
    ("ocsync stage ", ["stage"], "", ""),
    ("ocsync stage", [], "stage", ""),
    ("ocsync a\\ b c", ["a b"], "c", ""),
    ("ocsync 'a b' \"c d", ["a b"], "c d", '"'),
    ("ocsync 'a\\", [], "a\\", "'"),
    ('ocsync "" x', [""], "x", ""),
    ("ocsync a\\", [], "a", ""),
])  # fmt: skip
def test_a_line_is_split_as_shells_do(typed: str, parts: list[str], start: str, quote: str) -> None:
    assert split_line(typed)[:3] == (parts, start, quote)


@pytest.mark.parametrize(("line", "expected"), [
    ("stage im", ["import "]),
    ("resume --on-conflict=s", ["skip "]),
    ("stage set catalog/C Act", ["Active="]),
    ("stage set catalog/C Active=t", ["true "]),
    ("stage import book.xlsx --sheet St", ["Stock\\ take "]),
    ("stage import book.xlsx --sheet 'St", ["Stock take"]),
])  # fmt: skip
def test_bash_gets_the_rest_of_the_word(
    filled: Run, ask: Ask, line: str, expected: list[str]
) -> None:
    assert ask(line, "bash") == ["words", *expected]


BOOK = ["stage", "import", "book.xlsx", "--sheet"]
HANDED_OVER: list[tuple[list[str], list[str]]] = [
    (["sta"], ["stage", "status"]),
    (["stage", "set", "inventory/P1/R1", "Q"], ["QuantityAvailable="]),
    (["'stage'", '"set"', "'inventory/P1/R1'", "'Q"], ["'QuantityAvailable="]),
    (["stage", "set", "catalog/C", "Active=t"], ["Active=true"]),
    (["resume", "--on-conflict", ""], ["fail", "skip", "overwrite"]),
    (["resume", "--on-conflict=s"], ["--on-conflict=skip"]),
    (["stage", "show", '"catalog/w'], ["'catalog/winter'"]),
    ([*BOOK, "St"], ["'Stock take'"]),
    ([*BOOK, "'Stock t"], ["'Stock take'"]),
    ([*BOOK, '"Stock t'], ["'Stock take'"]),
    ([*BOOK, "Stock` t"], ["'Stock take'"]),
    (["stage", "import", "book.xlsx", "--sheet='St"], ["'--sheet=Stock take'"]),
    ([*BOOK[:2], "'book.xlsx'", "--sheet", ""], ["'Stock take'", "P", "'Grö''ße 1'"]),
    (["profile", "add", "''", "--environment", "useast-s"], ["useast-staging", "useast-sandbox"]),
    (["status", "zzz"], []),
]
"""Words as PowerShell has them in a line, the last as far as the cursor, and what is inserted."""


@pytest.mark.parametrize(("typed", "inserted"), HANDED_OVER)
def test_powershell_inserts_words_that_it_reads_as_one(
    filled: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str],
    typed: list[str], inserted: list[str],
) -> None:  # fmt: skip
    monkeypatch.setenv("_OCSYNC_COMPLETE", "powershell")
    monkeypatch.setenv("_OCSYNC_WORDS", "\x1f".join(typed))
    capfd.readouterr()
    assert answer(["complete"]) == 0
    out, err = capfd.readouterr()
    assert (out.isascii(), out.count("\n"), err) == (True, 1, "")
    reply = json.loads(out)
    assert (reply["directive"], [row[0] for row in reply["words"]]) == ("words", inserted)
    for typed_text, word, shown in reply["words"]:
        assert unquote_powershell(typed_text)[0] == word
        assert shown, "an empty help is refused"


def test_powershell_completes_files_by_itself() -> None:
    typed = {"_OCSYNC_WORDS": "stage\x1fimport\x1f'my f"}
    assert json.loads(complete("powershell", [], typed))["directive"] == "files"
    assert json.loads(complete("powershell", [], {}))["words"], "an empty variable is none"


@pytest.mark.parametrize(("typed", "value"), [
    ("a", ("a", "")), ("", ("", "")), ("''", ("", "")), ("'it''s'", ("it's", "")),
    ("'a`", ("a`", "'")), ('"say ""hi"', ('say "hi', "")), ('"a`"b', ('a"b', '"')), ("a` b", ("a b", "")),
    ("x='y z'", ("x=y z", "")), ("'a ''b", ("a 'b", "'")), ("`", ("", "")), ("007", ("007", "")),
])  # fmt: skip
def test_a_word_is_read_as_powershell_does(typed: str, value: tuple[str, str]) -> None:
    assert unquote_powershell(typed) == value


def snippets() -> list[str]:
    """The lines of PowerShell in the guide."""
    page = (Path(ocsync.__file__).parent / "guide/shell-completion.md").read_text(encoding="utf-8")
    return [
        code for code in re.findall(r"`([^`]+)`", page) if "$PROFILE" in code or "Set-Ex" in code
    ]


def test_powershell_parses_the_script_and_the_guide() -> None:
    grammar: Any = pytest.importorskip("tree_sitter_powershell", reason="there is no grammar")
    parser: Any = pytest.importorskip("tree_sitter", reason="there is no parser")
    reader = parser.Parser(parser.Language(grammar.language()))
    for source in (SCRIPTS["powershell"], *snippets()):
        assert source.isascii(), "5.1 reads files in the code page"
        assert not reader.parse(source.encode()).root_node.has_error, source
    assert len(snippets()) == 3
    assert reader.parse(b"if ($x { 1 }").root_node.has_error


def test_the_script_is_printed(run: Run) -> None:
    for shell, script in SCRIPTS.items():
        assert run("completion", shell) == (0, script, "")
        assert run("completion", shell, "--json").data["script"] == script
    refused = run("completion", "tcsh")
    assert (refused.code, refused.out) == (64, "")
    assert "bash, zsh, fish, powershell" in refused.err


@pytest.mark.parametrize(("shell", "check"), [("bash", "-n"), ("zsh", "-n"), ("fish", "-n")])
def test_the_script_is_valid(shell: str, check: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"there is no {shell}")
    done = subprocess.run(
        [shell, check], input=SCRIPTS[shell].encode(), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_completes_at_the_tabulator_key(filled: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pexpect: Any = pytest.importorskip("pexpect", reason="there is no terminal on Windows")
    Path("init.sh").write_text(SCRIPTS["bash"] + "bind 'set bell-style none'\nPS1='ready '\n")
    program = Path("bin/ocsync")
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ocsync "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent.absolute()}:{os.environ['PATH']}")
    command = "bash --noprofile --rcfile init.sh -i"
    shell = pexpect.spawn(command, timeout=20, encoding="utf-8", dimensions=(24, 200))
    shell.expect_exact("ready ")
    for typed, completed in {
        "ocsync stage imp": "ocsync stage import ",
        "ocsync resume --on-conflict=sk": "ocsync resume --on-conflict=skip ",
        "ocsync stage set catalog/C Active=t": "ocsync stage set catalog/C Active=true ",
        "ocsync stage import book.x": "ocsync stage import book.xlsx ",
        "ocsync plan --out=book.x": "ocsync plan --out=book.xlsx ",
    }.items():
        shell.send(f"{typed}\t#")
        shell.expect_exact(f"{completed}#")
        shell.sendcontrol("u")
    shell.sendline("exit")
    shell.expect(pexpect.EOF)
    shell.close()
