"""JSON Schemas: there is one for everything, they say what they said, and they are checked by."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ocsync import errors
from ocsync.cli.app import tree
from ocsync.cli.boundary import run_guarded
from ocsync.errors import ExitCode, OcsyncError
from ocsync.events import Event
from ocsync.render.json_schemas import DOCUMENTS, STREAMS, schema_names, schema_of
from tests.conftest import Run
from tests.json_schemas import (
    PAGE,
    SNAPSHOT,
    TABLE,
    checker,
    compile_check,
    faults_of,
    listing,
    snapshot,
)

NAMED_OTHERWISE = {"history show": "history"}
"""Commands whose document has another name."""


def test_the_schemas_are_as_they_were() -> None:
    """A change of this file is a change of what programs read: only additions keep the format."""
    assert SNAPSHOT.read_text(encoding="utf-8") == snapshot(), "python -m tests.json_schemas"


def test_the_page_lists_them() -> None:
    assert TABLE + listing() in PAGE.read_text(encoding="utf-8"), "python -m tests.json_schemas"


def commands(group: Any, above: str = "") -> list[str]:
    found = []
    for name, one in group.commands.items():
        path = f"{above}{name}"
        found += commands(one, f"{path} ") if hasattr(one, "commands") else [path]
    return found


@pytest.mark.parametrize("name", commands(tree()))
def test_every_command_has_a_schema(name: str) -> None:
    assert NAMED_OTHERWISE.get(name, name) in {**DOCUMENTS, **STREAMS}


def test_every_event_has_a_schema() -> None:
    members = [
        schema_of(name)["properties"]["type"] for name in schema_names() if name[:6] == "event-"
    ]
    types = {member.get("const") or member["enum"][0] for member in members}
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", name) for name in types)
    assert {event.__struct_config__.tag for event in Event.__subclasses__()} <= types


def test_every_error_is_on_the_page() -> None:
    kinds = [
        kind for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, OcsyncError)
    ]  # fmt: skip
    rows = re.findall(
        r"^\| (`\w+`.*?) \| ([\d, ]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    codes: dict[str, int] = {}
    for names, numbers in rows:
        listed, given = re.findall(r"`(\w+)`", names), [int(one) for one in numbers.split(", ")]
        codes |= dict(zip(listed, given * len(listed) if len(given) == 1 else given, strict=False))
    assert codes == {kind.__name__: int(kind.exit_code) for kind in kinds}


@pytest.mark.parametrize("name", schema_names())
def test_a_schema_is_printed(run: Run, name: str) -> None:
    shown = run("schema", name)
    assert (shown.code, json.loads(shown.out)) == (0, schema_of(name))
    assert run("schema", name, "--json").data["schemas"] == {name: schema_of(name)}
    assert schema_of(name)["description"].endswith(".")


def test_schemas_are_listed_and_words_joined(run: Run) -> None:
    listed = run("schema").out.splitlines()
    assert [line.split()[0] for line in listed] == schema_names()
    assert run("schema", "stage", "list").data["title"] == "stage-list"
    assert [*run("schema", "--json").data["schemas"]] == schema_names()
    refused = run("schema", "stauts")
    assert (refused.code, refused.out) == (64, "")
    assert "did you mean status?" in refused.err


@pytest.mark.parametrize(("command", "value", "fault"), [
    ("version", {"version": "1", "python": "3", "platform": "x"}, ""),
    ("version", {"version": 1, "python": "3", "platform": "x"}, "version.version is 1, not string"),
    ("version", {"version": "1", "python": "3"}, "version has no platform"),
    ("version", {"version": "1", "python": "3", "platform": "x", "new": 1}, "version has new"),
    ("pause", {"targets": {"inventory": None}}, ""),
    ("pause", {"targets": {"inventory": {}}}, "has no phase, since"),
    ("pause", {"targets": {"inventory": {"phase": "x", "since": ""}}}, "phase is 'x', not of"),
    ("pause", {"targets": []}, "targets is [], not an object"),
    ("stage drop", {"dropped": True}, "dropped is True, not integer"),
    ("stage drop", {"dropped": 1.0}, "dropped is 1.0, not integer"),
    ("history", {"runs": []}, ""),
    ("history", {"runs": [{"id": "1", "type": "other"}]}, "history.runs[0] has no"),
    ("history", {}, "history has no runs or history has no findings, folder, problems, run"),
    ("no such", {}, "there is no schema no-such"),
])  # fmt: skip
def test_the_check_finds_faults(command: str, value: dict[str, Any], fault: str) -> None:
    line = json.dumps({"format": 2, "command": command, **value})
    found = faults_of([*command.split(), "--json"], f"{line}\n", "")
    assert bool(found) == bool(fault)
    assert fault in "".join(found)


def test_the_check_knows_every_keyword() -> None:
    with pytest.raises(AssertionError):
        compile_check({"type": "string", "pattern": "x"}, {})
    for name in schema_names():
        assert checker(name)(None, name), "null is no such thing"


@pytest.mark.parametrize(("words", "kind", "code"), [
    (("plan", "--profile", "x"), "ConfigError", 78),
    (("plan", "--no-such-option"), "UsageError", 64),
    (("pause", "x"), "UsageError", 64),
    (("stage", "set", "catalog/C", "Zzz=1"), "InputError", 65),
    (("verify", "99"), "FileMissing", 66),
    (("stage", "clear"), "UsageError", 64),
])  # fmt: skip
def test_an_error_has_its_kind(ocsync: Run, words: tuple[str, ...], kind: str, code: int) -> None:
    ocsync("stage", "set", "catalog/C", "Active=true")
    failed = ocsync(*words, "--json")
    told = json.loads(failed.err.splitlines()[-1])
    assert (failed.code, told["error"], told["exit_code"]) == (code, kind, code)


def test_an_unexpected_error_has_none(ocsync: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("ocsync.store.journal.Journal.stream", fail)
    failed = ocsync("stage", "list", "--json")
    told = json.loads(failed.err)
    assert (failed.code, told["error"], told["hint"]) == (1, None, "")


def test_an_interruption_is_an_error_too(capfd: pytest.CaptureFixture[str]) -> None:
    def interrupt(_: Any) -> int:
        raise KeyboardInterrupt

    assert run_guarded(["plan", "--json"], interrupt) == ExitCode.INTERRUPTED
    out, err = capfd.readouterr()
    assert (json.loads(err)["error"], faults_of(["plan"], out, err)) == ("Interrupted", [])
