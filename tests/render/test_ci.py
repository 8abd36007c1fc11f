"""What a CI is told: annotations that it reads back as meant, a summary, and nothing to carry out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsync.render.ci import Annotation, Azure, GitHub, escape_ci_commands, escape_ci_json
from ocsync.render.ci_summary import summary
from tests.builders import Shop, csv_of
from tests.conftest import Run

TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
NOTES = st.builds(
    Annotation, st.sampled_from(["error", "warning"]), TEXTS.filter(bool), TEXTS, st.integers(0, 9),
    st.integers(0, 9),
)  # fmt: skip


def read_github(line: str) -> tuple[str, dict[str, str], str]:
    """As GitHub's runner reads a command: level, properties, message."""
    head, _, data = line.removeprefix("::").partition("::")
    level, _, within = head.partition(" ")
    pairs = (pair.split("=", 1) for pair in within.split(","))
    return level, {name: plain(value, "\r\n:,%") for name, value in pairs}, plain(data, "\r\n%")


def read_azure(line: str) -> tuple[dict[str, str], str]:
    """As Azure's agent reads a command."""
    within, _, data = line.removeprefix("##vso[task.logissue ").partition("]")
    pairs = (pair.split("=", 1) for pair in within.split(";") if pair)
    return (
        {name: plain(value, "\r\n];").replace("%AZP25", "%") for name, value in pairs},
        plain(data, "\r\n").replace("%AZP25", "%"),
    )


def plain(text: str, signs: str) -> str:
    for sign in signs:
        text = text.replace(f"%{ord(sign):02X}", sign)
    return text


@given(NOTES)
def test_github_reads_what_was_meant(note: Annotation) -> None:
    line = GitHub({}, []).annotation_command(note)
    level, places, text = read_github(line)
    assert "\n" not in line
    assert "\r" not in line
    assert (level, text) == (note.level, note.text)
    assert places.get("file", "") == note.file
    assert int(places.get("line", 0)) == note.line
    assert int(places.get("col", 0)) == note.column


@given(NOTES)
def test_azure_reads_what_was_meant(note: Annotation) -> None:
    places, text = read_azure(Azure({}, []).annotation_command(note))
    assert (places["type"], text) == (note.level, note.text)
    assert places.get("sourcepath", "") == note.file
    assert int(places.get("linenumber", 0)) == note.line


@given(st.text(st.sampled_from(" :#[v\nso]a"), max_size=20))
def test_no_text_of_others_is_a_command(text: str) -> None:
    told = escape_ci_commands(text)
    assert "##[" not in told
    assert "##vso[" not in told
    assert not any(line.lstrip().startswith("::") for line in told.split("\n"))
    packed = escape_ci_json(json.dumps({"x": text}))
    assert json.loads(packed) == {"x": text}
    assert "##[" not in packed
    assert "##vso[" not in packed


@pytest.fixture(params=["github", "azure"])
def ci(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """This runs in a job of that CI."""
    name: str = request.param
    variables = {
        "github": {"GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_WORKSPACE": str(tmp_path),
                   "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")},
        "azure": {"TF_BUILD": "True", "BUILD_SOURCESDIRECTORY": str(tmp_path),
                  "AGENT_TEMPDIRECTORY": str(tmp_path)},
    }  # fmt: skip
    for variable, value in variables[name].items():
        monkeypatch.setenv(variable, value)
    return name


def heard(err: str, level: str = "error") -> list[str]:
    """The messages of that level, as the CI would show them."""
    commands = re.findall(r"^(?:::|##vso\[task\.logissue ).*$", err, re.MULTILINE)
    read = [read_github(c) if c.startswith("::") else read_azure(c) for c in commands]
    return [r[-1] for r in read if level in (r[0], r[0]["type"] if isinstance(r[0], dict) else "")]


def shown(err: str) -> str:
    """The summary that the CI shows."""
    uploads: list[str] = re.findall(r"^##vso\[task\.uploadsummary\](.*)$", err, re.MULTILINE)
    paths = [Path(path) for path in uploads] or [Path("summary.md")]
    return "\n".join(path.read_text() for path in paths if path.exists())


def test_wrong_lines_are_told_by_their_place(
    ocsync: Run, ci: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("changes").mkdir()
    Path("changes/stock.csv").write_bytes(
        csv_of([("ref", "QuantityAvailable"), *(("inventory/P/R", "many"),) * 15])
    )
    monkeypatch.setattr("sys.argv", ["ocsync", "stage", "import", "changes/stock.csv"])
    result = ocsync("stage", "import", "changes/stock.csv")
    assert result.code == 65
    assert result.out == ""
    place = {
        "github": "::error file=changes/stock.csv,line=2,col=2,title=ocsync::",
        "azure": "##vso[task.logissue type=error;sourcepath=changes/stock.csv;linenumber=2;"
        "columnnumber=2;]",
    }[ci]
    assert place + 'QuantityAvailable "many" is not a whole number' in result.err.splitlines()
    told = heard(result.err)
    assert len(told) == 10, "what a CI shows of one step"
    assert told[0] == "15 of 15 lines are wrong; nothing was staged"
    assert told[-1] == "and 7 more; see the log"
    assert "stock.csv:11:2" in result.err, "the text has all the same"


def test_json_stays_the_data(ocsync: Run, ci: str) -> None:
    result = ocsync("plan", "--json", "no-such-target")
    assert result.code == 64
    assert heard(result.err) == ['"no-such-target" is not a sync target']
    document = next(line for line in result.err.splitlines() if line.startswith("{"))
    assert json.loads(document)["exit_code"] == 64
    assert ocsync("plan", "--json").data["steps"] == 0


def test_a_run_is_told_and_summed_up(ocsync: Run, shop: Shop, ci: str) -> None:
    refs = shop.stock(records=3)
    for ref in [*refs, "inventory/P0/NONE"]:
        ocsync("stage", "set", ref, "QuantityAvailable=7")
    planned = ocsync("plan", "--diff")
    result = ocsync("resume", "--verify", "--json", "--yes")

    assert heard(planned.err, "warning")[0].startswith("4 quantities have no expected value")
    assert result.code == 3
    assert [json.loads(line)["type"] for line in result.out.splitlines()][-1] == "summary"
    [told] = heard(result.err)
    assert told.startswith("inventory/P0/NONE: failed: 404 NotFound")
    text = shown(planned.err) + shown(result.err)
    assert "### ocsync plan: 4 edits, 4 requests" in text
    assert "| `inventory/P0/R0` | `QuantityAvailable` `5` → `7` |" in text
    assert "### ocsync resume: partly done (run " in text
    assert "| inventory | 3 | 0 | 1 | 0 | 0 | 0 | = 3 |" in text
    assert "| `inventory/P0/NONE` | failed | 404 NotFound" in text
    if ci == "azure":
        assert list(Path(".ocsync/profiles/test/runs").glob("*/summary-*.md"))


def test_a_verification_is_summed_up(ocsync: Run, shop: Shop, ci: str) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "NotificationPoint=7")
    assert ocsync("resume").code == 0
    shop.call("PATCH", "/products/P0/inventoryrecords/R0", {"NotificationPoint": 8})
    result = ocsync("verify")
    assert result.code == 5
    assert heard(result.err) == [f"{ref} differs from the values written: NotificationPoint"]
    assert f"| `*` | `{ref}` | `NotificationPoint` `8` instead of `7` |" in shown(result.err)


def test_conflicts_and_forgotten_pauses_are_told(ocsync: Run, shop: Shop, ci: str) -> None:
    refs = shop.stock(records=2)
    ocsync("stage", "set", refs[0], "QuantityAvailable=7", "--expect", "QuantityAvailable=6")
    ocsync("stage", "set", refs[1], "QuantityAvailable=7")
    conflict = ocsync("resume")
    assert conflict.code == 6
    assert sorted(heard(conflict.err)) == [
        f"{refs[0]}: conflict: QuantityAvailable is 5, expected 6",
        f"{refs[1]}: blocked by {refs[0]}",
    ]
    ocsync("pause", "inventory", "buyers")
    shop.call("PATCH", "/integrations/entitysync/buyers", {"Paused": False})
    pauses = Path(".ocsync/profiles/test/pause.toml")
    pauses.write_text(re.sub('since = "20..', 'since = "1999', pauses.read_text()))
    told = heard(ocsync("status", "--max-age", "4h").err, "warning")
    assert "inventory is paused and overdue: ocsync status" in told
    assert "buyers: someone else unpaused it" in told


def test_names_are_not_carried_out(ocsync: Run, shop: Shop, ci: str) -> None:
    shop.stock(records=1)
    bad = "##vso[task.setvariable variable=x]y\n::add-mask::z ##[add-mask]z | <b>"
    ocsync("stage", "set", "product/P0", f"Name={bad}")
    seen = [
        ocsync("stage", "show", "product/P0"),
        ocsync("plan", "--diff"),
        ocsync("plan", "--json", "--diff"),
    ]
    for result in seen:
        for line in (result.out + result.err).splitlines():
            ours = line.startswith(("::warning", "##vso[task.logissue", "##vso[task.uploadsummary"))
            assert ours or not re.search(r"^\s*::|##\[|##vso\[", line), line
    assert seen[2].data["changes"][0]["after"]["Name"] == bad
    assert "z &#124; &#60;b&#62;" in shown(seen[1].err), "nor shown as markup"


def test_elsewhere_nobody_is_told(ocsync: Run, shop: Shop) -> None:
    result = ocsync("plan", "no-such-target")
    assert "::" not in result.err
    assert "##" not in result.err


def test_a_long_table_is_cut() -> None:
    rows = [{"ref": f"inventory/P/R{n}", "state": "failed", "message": "no"} for n in range(80)]
    run = {"id": "1", "state": "closed", "kinds": {}, "entries": 80, "seconds": 1.0}
    text = summary({"run": run, "problems": rows, "unpaused": [], "still_paused": [], "verified": None,
                    "exit_code": 3})  # fmt: skip
    assert text.count("| failed |") == 50 + 1
    assert "... and 30 more" in text
