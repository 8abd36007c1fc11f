"""The plan to review: names of others are shown, and are never markup, a link or a mention."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ocsync.characters import escape_invisible
from ocsync.engine.resume.prepared import PreparedRequest
from ocsync.models import Change, Op, Step
from ocsync.render.markdown_text import code, prose
from ocsync.render.plan_report import ROW_LIMIT, html, markdown
from ocsync.render.planned_changes import ChangeList, PlannedChange
from tests.render.test_run_page import NASTY, check_closed, parsed

MARKDOWN = MarkdownIt("commonmark").enable("table")
NASTY_WORDS = st.lists(
    st.sampled_from([
        "a|b", "`", "``", "\\", "\\|", "|", "<b>", "</code>", "[l](https://evil.example)", "![i](x)", "@octocat",
        "me@evil.example", "www.evil.example", "#12", "**b**", "_", "~~", "<!--", "-->", "&lt;", "$x$", ":+1:", "\n", "plain", "(3",
    ]), max_size=6,
).map(" ".join)  # fmt: skip


def facts(text: str = "x", rows: int = 1, **more: Any) -> dict[str, Any]:
    """The data of a plan with *text* wherever text of others can be."""
    changes = [
        PlannedChange(
            Step(
                number=n,
                wave=1,
                change=Change(op=Op.SET, ref=f"product/{text}{n}", fields={"Name": text}),
                method="PATCH",
                path="/",
            ),
            PreparedRequest({"Name": text, "xp.a": text}, {"Name": "before"}),
            text if n % 7 == 3 else "",
        )
        for n in range(1, rows + 1)
    ]
    risk = {"code": "x", "text": text, "refs": [f"product/{text}"], "advice": text, "count": 1}
    return {
        "profile": text, "marketplace": text, "environment": text, "fingerprint": "f" * 32, "at": "2026-11-26T08:00:00+00:00",
        "entries": rows, "steps": rows, "waves": 1, "remaining": 2, "kinds": [{"kind": "product", "entries": rows, "steps": rows}],
        "targets": {"direct": ["products"], "possible": ["catalogs"], "will_unpause": ["buyers"]}, "seconds": 4.0,
        "risks": [risk], "open_run": "", "listed": ChangeList(changes[:ROW_LIMIT], rows, 3, is_compared=True), **more,
    }  # fmt: skip


def inline(text: str) -> list[Any]:
    """What *text* is in a cell of a table."""
    tokens = MARKDOWN.parse(f"| a | b |\n| --- | --- |\n| {text} | end |\n")
    assert [t.type for t in tokens].count("td_open") == 2, text
    cells = [t for t in tokens if t.type == "inline"]
    assert [cell.content for cell in cells[:2] + cells[3:]] == ["a", "b", "end"]
    return list(cells[2].children or ())


def shown(tokens: list[Any]) -> str:
    return "".join(t.content for t in tokens if t.type != "html_inline")


@settings(max_examples=60, deadline=None)
@given(st.one_of(NASTY_WORDS, NASTY))
@example("a `` b | c \\")
@example("| `x` @y.z")
def test_any_text_is_itself_in_a_cell(text: str) -> None:
    for write in (code, prose):
        tokens = inline(write(text))
        assert {t.type for t in tokens} <= {"text", "code_inline", "html_inline", "text_special"}
        assert {t.content for t in tokens if t.type == "html_inline"} <= {
            "<code>",
            "</code>",
            "<!-- -->",
        }
        assert shown(tokens) == " ".join(escape_invisible(text).split())


@settings(max_examples=60, deadline=None)
@given(NASTY_WORDS)
def test_no_renderer_finds_an_address_or_a_mention_in_text(text: str) -> None:
    """They are looked for outside of code alone."""
    inside, outside = False, ""
    for token in inline(prose(text)):
        inside = token.content == "<code>" or (inside and token.content != "</code>")
        outside += token.content if token.type != "code_inline" and not inside else ""
    assert not set(outside.replace("</code>", "")) & set("@#/_*`~[]<>|$&\\")
    assert "www." not in outside


def test_plain_words_stay_plain() -> None:
    text = "1,000 quantities have no expected value; later sales (10 %) would be overwritten!"
    assert prose(text) == text
    assert prose("xp.a of product/P1, see --diff.") == "`xp.a` of `product/P1`, see `--diff`."
    assert code("") == prose("") == ""


@settings(max_examples=10, deadline=None)
@given(NASTY)
def test_any_text_is_shown_on_the_page_and_never_markup(text: str) -> None:
    page = html(facts(text))
    assert check_closed(page).seen == check_closed(html(facts())).seen
    assert not text or escape_invisible(text) in [
        "".join(part.itertext()) for part in parsed(page).iter("dd")
    ]


@pytest.mark.parametrize("rows", [3, 180])
def test_a_report_lists_the_first_changes(rows: int) -> None:
    report = markdown(facts(rows=rows))
    assert report.count("| `product/") == min(rows, ROW_LIMIT)
    assert f"{rows:,} changes; 3 refs need no change" in report
    assert ("... and 130 more" in report) == (rows == 180)
    assert '`Name` `before` → `x`, `xp.a` `null` → `"x"`' in report
    assert "plan `ffff" in report
    page = html(facts(rows=rows))
    assert len(list(parsed(page).iter("b"))) == min(rows, ROW_LIMIT)
    signs = [one.get("class") for one in parsed(page).iter("li") if one.find("b") is not None]
    assert signs[:3] == ["change", "change", "bad"]
    assert "resume also unpauses buyers" in report
    assert "Resume also unpauses buyers." in page


def test_a_comment_is_short_enough_for_github() -> None:
    listed = markdown(facts("x|" * 100, rows=50))
    assert len(listed) < 65_536
    assert "... and " in listed


def test_a_plan_that_was_not_compared_says_so() -> None:
    rows = [PlannedChange(row.step) for row in facts(rows=2)["listed"].rows]
    report = markdown(facts(rows=2, listed=ChangeList(rows, 2, 0, is_compared=False)))
    assert "2 changes; `plan --diff` adds the values that they replace:" in report
    assert "| `product/x1` | `Name=x` |" in report


def test_nothing_to_send_is_a_report_too() -> None:
    empty: dict[str, Any] = {"steps": 0, "entries": 0, "kinds": [], "risks": [], "seconds": None}
    report = facts(**empty, listed=ChangeList([], 0, 0, is_compared=False))
    assert markdown(report).startswith("### ocsync plan: nothing to send\n")
    assert "nothing to send" in html(report)
