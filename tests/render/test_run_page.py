"""The page of a run: escaped, self-contained, small, and true to what the run recorded."""

from __future__ import annotations

import io
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsync.characters import escape_invisible
from ocsync.engine.history import FieldChange, RunDetails, StepRow, without_values
from ocsync.engine.pace import Pace
from ocsync.models import Finding, PaceSample, Sign, State
from ocsync.render import chart
from ocsync.render.console import fit_encoding
from ocsync.render.history import sparkline
from ocsync.render.run_page import ROW_LIMIT, html_page
from ocsync.render.timeline import buckets, timeline
from ocsync.store import RunInfo
from tests.builders import Shop, csv_of
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash_resume

RUNS = Path(".ocsync/profiles/test/runs")
MEBIBYTE = 2**20


def sample(second: float, **facts: Any) -> PaceSample:
    minutes, seconds = divmod(second, 60)
    at = f"2026-11-26T08:{minutes:02.0f}:{seconds:06.3f}+00:00"
    return PaceSample(at=at, **{"seconds": 1.0, "phase": "send", "wave": 1, **facts})


def details(steps: int = 3, text: str = "x", **facts: Any) -> RunDetails:
    """A run with *text* wherever text of others can be."""
    states = [*State]
    rows = [
        StepRow(
            number=n, wave=1, ref=f"catalog/{text}{n}", method="PATCH", state=states[n % len(states)].value,
            status=400, code=text, message=text, sign="*" if n % 5 == 0 else "",
            found={text: {"wanted": text, "found": text}}, place=text,
        )
        for n in range(1, steps + 1)
    ]  # fmt: skip
    info = RunInfo(
        id="1126-0800", state="closed", started="2026-11-26T08:00:00+00:00", command=text, user=text,
        marketplace=text, steps=steps, requests=9, seconds=4.0, exit_code=3, kinds={text: {"done": 2}},
        counts={"done": 2}, verified={"=": 1}, delivery={"arrived": 4, "p50": 1.0, "p95": 2.0, "last": 2.0, "first": 0.5},
        paused_seconds={text: 3.0}, reverts=(text,),
    )  # fmt: skip
    changes = {
        row.number: [FieldChange(text, text, text), FieldChange("xp.n", 1, None)] for row in rows
    }
    samples = [
        sample(
            n / 20, seconds=0.05, sent=n, ended=1, in_flight=2, window=4, wait=n % 2, reason=text
        )
        for n in range(4)
    ]
    findings = [Finding(ref=f"product/{text}", sign=Sign.MISSING, message=text, where="delivery")]
    run = RunDetails(info, rows, findings, text, Pace(samples, measured=True), changes)
    return run._replace(**facts)


def parsed(page: str) -> Xml.Element:
    """The page, which must be XML too."""
    head, _, body = page.partition("\n")
    assert head == "<!DOCTYPE html>"
    return Xml.fromstring(body)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.seen |= {f"@{name}" for name, _ in attrs}
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.seen |= {f"@{name}" for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def check_closed(page: str) -> _Tags:
    """Check that the page loads nothing and runs nothing."""
    assert "://" not in page
    tags = _Tags()
    tags.feed(page)
    tags.close()
    assert not tags.open
    assert not tags.seen & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "base",
        "form",
        "a",
        "use",
        "image",
    }
    assert not {name for name in tags.seen if name.startswith("@on")} | tags.seen & {
        "@href",
        "@src",
        "@style",
    }
    assert len(page.encode()) < MEBIBYTE
    return tags


NASTY = st.one_of(
    st.text(max_size=30),
    st.sampled_from([
        "<script>alert(1)</script>", "</title></style><b onload=x>", '"><img src=x onerror=y>', "http://evil.example/",
        "&lt;&amp;]]>-->", "\x00\x1b[31m\u202e\ud83d", "' or \"", "https:&#47;/x", "data:text/html,<p>",
    ]),
)  # fmt: skip


@cache
def _plain_tags() -> set[str]:
    return check_closed(html_page(details(text="x"))).seen


@settings(max_examples=15, deadline=None)
@given(NASTY)
def test_any_text_is_shown_and_never_markup(text: str) -> None:
    page = html_page(details(text=text))
    tags = check_closed(page)
    root = parsed(page)
    names = [cell.text for cell in root.iter("td")]
    assert escape_invisible(text) in ["" if name is None else name for name in names]
    assert tags.seen == _plain_tags()
    for svg in root.iter("svg"):
        if svg.get("role") == "img":
            for name in str(svg.get("aria-labelledby")).split():
                assert any(part.get("id") == name and part.text for part in svg)


def test_a_page_forbids_all_but_its_style() -> None:
    root = parsed(html_page(details()))
    policies = [meta.get("content") for meta in root.iter("meta") if meta.get("http-equiv") == "Content-Security-Policy"]  # fmt: skip
    assert len(policies) == 1
    assert str(policies[0]).startswith("default-src 'none'; style-src 'sha256-")
    assert root.get("lang") == "en"
    ids = [part.get("id") for part in root.iter() if part.get("id")]
    assert len(ids) == len(set(ids))
    labels = {
        name for part in root.iter() for name in str(part.get("aria-labelledby") or "").split()
    }
    assert labels <= set(ids)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("steps", "text"),
    [(2010, "x"), (700, "&" * 100), (500, "\U0001f600" * 100)],
    ids=["short", "escaped", "wide"],
)
def test_a_page_is_small_and_has_failures_first(steps: int, text: str) -> None:
    page = html_page(details(steps, text))
    check_closed(page)
    root = parsed(page)
    lists = [part for part in root.iter("ol") if part.get("class") == "changes"]
    rows = [" ".join(row.itertext()) for row in lists[0]]
    states = [str(row.findtext("small")).split()[-1] for row in lists[0]]
    assert 150 < len(rows) <= ROW_LIMIT
    assert states[0] == "failed"
    assert states == sorted(
        states, key=["failed", "unknown", "conflict", "blocked", "done", "unchanged"].index
    )
    assert f"{steps - len(rows):,} more: ocsync history" in page
    assert (text == "x") == (len(rows) == ROW_LIMIT)


def test_without_values_only_names_stay() -> None:
    run = details(8, "SECRET")
    marked = run._replace(
        info=RunInfo(id="1126-0800"),
        steps=[StepRow(number=1, wave=1, ref="catalog/C", method="PATCH", state=s.value, status=0,
               message="Name is SECRET" if s is State.CONFLICT else "", sign="*", found={"Name": {"wanted": "SECRET", "found": "SECRET"}})
               for s in State],
        findings=[Finding(ref="product/P", sign=Sign.DIFFERS, fields={"Name": {"wanted": "SECRET", "found": 1}})],
        changes={1: [FieldChange("Name", "SECRET", "SECRET")]}, pace=Pace([], measured=False),
    )  # fmt: skip
    assert "SECRET" in html_page(marked)
    page = html_page(without_values(marked))
    assert "SECRET" not in page
    assert "differs in Name" in page


def stage(ocsync: Run, refs: list[str]) -> None:
    rows = [("ref", "QuantityAvailable"), *((ref, 9) for ref in refs)]
    ocsync("stage", "import", "-", stdin=csv_of(rows))


def written(ocsync: Run, *words: str) -> str:
    assert ocsync("history", *words, "--report", "html", "run.html").code == 0
    page = Path("run.html").read_text(encoding="utf-8")
    check_closed(page)
    parsed(page)
    return page


def test_a_real_run_as_a_page(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=12)
    stage(ocsync, refs[:10])
    ocsync("stage", "set", "catalog/C", "Name=a<b>")
    ocsync("stage", "put", "address/new", "Street1=s", "City=c", "Country=US")
    ocsync("stage", "set", refs[11], "AddressID=new")
    shop.faults({"status": 429, "retry_after": 0.01, "method": "PATCH", "times": 2})
    assert ocsync("resume", "--on-conflict", "skip").code in (3, 6)
    page = written(ocsync)
    text = " ".join(Xml.fromstring(page.partition("\n")[2]).itertext())
    assert "QuantityAvailable 5 → 9" in re.sub(r"\s+", " ", text)
    assert text.index("address/new") < text.index("inventory/P")
    assert "2 refused by the rate limit" in text
    hidden = written(ocsync, "--no-values")
    assert (
        " 10 "
        not in " ".join(Xml.fromstring(hidden.partition("\n")[2]).itertext()).partition(
            "failures first"
        )[2]
    )
    assert "QuantityAvailable" in hidden
    [name] = [path.name for path in RUNS.iterdir()]
    (RUNS / name / "pace.jsonl").unlink()
    assert "come from the times in its log" in written(ocsync)


def test_unfinished_runs_deletes_and_resyncs_have_pages(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=4)
    stage(ocsync, refs)
    crash_resume(shop, CrashPoint("request", 2, "after"))
    assert "not finished" in written(ocsync)
    assert ocsync("resume").code == 0
    assert ocsync("resync", "inventory", *refs).code == 0
    assert "Requests per second" in written(ocsync, "--type", "resync")
    assert ocsync("delete", refs[0], "--yes").code == 0
    assert "DELETE done" in written(ocsync, "--type", "delete")


def test_values_are_left_out_of_reports_only(ocsync: Run) -> None:
    result = ocsync("history", "--no-values")
    assert (result.code, "--no-values is for a report" in result.err) == (64, True)


_samples = st.lists(
    st.builds(
        sample, st.floats(0, 3599, allow_nan=False), seconds=st.floats(0.001, 2), sent=st.integers(0, 500),
        ended=st.integers(0, 500), failed=st.integers(0, 9), in_flight=st.integers(0, 64),
        window=st.integers(0, 64), wait=st.floats(0, 90), reason=st.sampled_from("ab"),
        phase=st.sampled_from(["read", "send", "verify"]),
    ),
    max_size=40,
)  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(_samples)
def test_no_request_is_lost_between_pace_and_picture(samples: list[PaceSample]) -> None:
    line = timeline(samples)
    parts = buckets(line)
    total = sum(one.sent for one in samples)
    assert sum(parts.sent) * parts.seconds == pytest.approx(total, abs=1e-6)
    assert max(parts.in_flight) == max((one.in_flight for one in samples), default=0)
    assert line.starts == sorted(line.starts)
    for bands in (line.bands, line.waits):
        assert all(0 <= band.start <= band.end <= line.seconds + 1e-9 for band in bands)


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 1e9, allow_nan=False))
def test_axes_have_a_few_round_numbers(value: float) -> None:
    ticks = chart.number_ticks(value)
    assert 2 <= len(ticks) <= 6
    assert ticks[0] == 0
    assert ticks[-1] >= value * (1 - 1e-9)
    times = chart.time_ticks(value)
    assert 1 <= len(times) <= 6
    assert times[-1] <= value + 1e-6


def test_the_pace_is_a_line_of_bars(ocsync: Run, shop: Shop) -> None:
    stage(ocsync, shop.stock(records=6))
    shop.switch(latency=0.03)
    assert ocsync("resume", "--concurrency", "1", "--no-pause").code == 0
    [line] = [
        line for line in ocsync("history", "--steps").out.splitlines() if line.startswith("  pace")
    ]
    assert re.fullmatch(r"  pace  [▁▂▃▄▅▆▇█]{2,32}  [\d,]+/s, [\d,]+/s at most", line)
    assert len(line) <= 80
    next(RUNS.glob("*/pace.jsonl")).unlink()
    assert "/s at most (by its log)\n" in ocsync("history", "--steps").out
    assert sparkline([0, 4, 8]) == "▁▅█"
    assert sparkline([]) == ""
    ascii_stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert fit_encoding(sparkline([0, 1, 2, 3, 4, 5, 6, 8]), ascii_stream) == "_.:-=+*#"
