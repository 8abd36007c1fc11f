"""The pages of `ocsync help TOPIC` say what the code does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ocsync.cli.app import tree
from ocsync.errors import _PRECEDENCE, ExitCode
from ocsync.schema import KINDS

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "ocsync").rglob("*.py"))


def page(topic: str) -> str:
    return (ROOT / "ocsync" / "guide" / f"{topic}.md").read_text(encoding="utf-8")


def test_every_exit_code_is_explained() -> None:
    codes = re.findall(r"^\| (\d+) \| .+ \| .+ \|$", page("exit-codes"), re.MULTILINE)
    assert [int(code) for code in codes] == sorted(ExitCode)


def test_the_first_of_several_exit_codes_is_told() -> None:
    [order] = re.findall(r"the first of these that does: ([\d,\s]+)\.", page("exit-codes"))
    assert [int(code) for code in re.split(r",\s+", order)] == list(_PRECEDENCE)


def options(command: Any) -> Iterator[tuple[str, str]]:
    """The variables of *command* and those below it, each with its option."""
    for parameter in getattr(command, "params", ()):
        if parameter.envvar:
            yield parameter.envvar, next(o for o in parameter.opts if o.startswith("--"))
    for one in getattr(command, "commands", {}).values():
        yield from options(one)


def test_every_variable_of_an_option_is_on_the_page() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(--[\w-]+)` \|", page("environment"), re.MULTILINE)
    assert len(rows) == len(set(rows))
    assert set(rows) == set(options(tree()))


def test_variables_of_ours_are_those_of_the_code() -> None:
    code = "".join(source.read_text(encoding="utf-8") for source in SOURCES)
    ours = re.compile(r"OCSYNC_[A-Z_]+")
    assert set(ours.findall(page("environment"))) == set(ours.findall(code))


def read_from_the_environment(tree: ast.AST) -> Iterator[str]:
    """The names in `environ["NAME"]` and `environ.get("NAME")`."""
    for node in ast.walk(tree):
        match node:
            case ast.Subscript(value=mapping, slice=ast.Constant(value=str(name))):
                pass
            case ast.Call(
                func=ast.Attribute(value=mapping, attr="get"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                pass
            case _:
                continue
        if ast.unparse(mapping).rpartition(".")[2] == "environ":
            yield name


def test_every_other_variable_that_is_read_is_on_the_page() -> None:
    from ocsync.store.identity import _JOB_URLS

    texts = [source.read_text(encoding="utf-8") for source in SOURCES]
    read = {
        name
        for text in texts
        if "environ" in text
        for name in read_from_the_environment(ast.parse(text))
    }
    assert {"SSL_CERT_FILE", "TF_BUILD", "CI"} <= read, "the search finds them"
    read |= {name for address in _JOB_URLS for name in re.findall(r"{(\w+)}", address)}
    assert not read - set(re.findall(r"\w+", page("environment")))


def test_what_each_kind_sends_is_what_the_tables_say() -> None:
    row = r"^\| ([\w-]+) \| ([\w, -]*) \| ([\w, -]*) \| (.+) \|$"
    rows = re.findall(row, page("ordercloud"), re.MULTILINE)
    told = {name: (sent, again) for name, sent, again, _ in rows if name in KINDS}
    assert told == {
        name: (", ".join(kind.direct_targets), ", ".join(kind.indirect_targets))
        for name, kind in KINDS.items()
    }
    assert all(re.match("[DIU]", mark) for name, _, _, mark in rows if name in KINDS)


NUMBER = r"\d+(?:\.\d+)*"
CITED = re.compile(rf"guide/ordercloud.md\b(?:\s+(?:# )?({NUMBER}(?:(?:,| and| to)\s+{NUMBER})*))?")
"""A citation, with its sections: `guide/ordercloud.md 5.3`, `3.4, 4.4`, `1.2 to 1.4`."""


def test_every_cited_section_of_the_api_page_exists() -> None:
    text = page("ordercloud")
    headings = re.findall(r"^#{2,3} (\d+(?:\.\d+)?) ", text, re.MULTILINE)
    sections = {*headings, *re.findall(r"^\| (12\.\d+) \|", text, re.MULTILINE)}
    assert len(headings) == len(set(headings))
    here = Path(__file__)
    cited = [
        (source.relative_to(ROOT), found[0], re.findall(NUMBER, found[1] or ""))
        for source in [*SOURCES, *(one for one in sorted(here.parent.rglob("*.py")) if one != here)]
        for found in CITED.finditer(source.read_text(encoding="utf-8"))
    ]
    assert len(cited) > 30, "the search finds them"
    assert not [one for one in cited if not one[2]], "a citation names its section"
    assert not [one for one in cited if not sections.issuperset(one[2])]
