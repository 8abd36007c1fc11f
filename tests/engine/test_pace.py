"""The pace of a run: as it was recorded, and as its log shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsync.client import Connection, Limits, open_client
from ocsync.engine.pace import Pace, begin_as_proven, derive_samples, pace_of
from ocsync.engine.session import Session
from ocsync.events import Broadcast
from ocsync.models import Intent, Outcome, PaceSample, State
from ocsync.store import Run as RunFolder
from ocsync.store import RunInfo, Runs
from tests.builders import Shop, csv_of
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash_resume
from tests.in_process import profile_dir, resume

RUNS = Path(".ocsync/profiles/test/runs")


def newest() -> RunFolder:
    return Runs(RUNS, pytest.fail).get()


def stage(ocsync: Run, refs: list[str], quantity: int = 9) -> None:
    rows = [("ref", "QuantityAvailable"), *((ref, quantity) for ref in refs)]
    ocsync("stage", "import", "-", stdin=csv_of(rows))


def test_every_request_and_step_is_counted(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=30, products=5)
    stage(ocsync, refs)
    ocsync("stage", "put", "address/new", "Street1=s", "City=c", "Country=US")
    shop.faults({"status": 429, "retry_after": 0.01, "method": "PATCH", "times": 3})
    assert ocsync("resume", "--verify").code == 3
    run = newest()
    samples, info = run.pace(), run.read_info()
    assert sum(sample.ended for sample in samples) == info.steps == 31
    assert sum(sample.failed for sample in samples) == 1
    assert sum(sample.throttled for sample in samples) == 3
    assert sum(sample.sent for sample in samples) >= info.requests >= 34
    assert max(sample.in_flight for sample in samples) > 1
    assert max(sample.window for sample in samples) > 1
    assert [*dict.fromkeys(s.phase for s in samples if s.phase)] == ["read", "send", "verify"]
    assert {sample.wave for sample in samples} == {0, 1}
    assert pace_of(run) == Pace(samples, measured=True)


def test_a_wait_is_recorded_with_its_reason(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    shop.faults({"status": 429, "retry_after": 1, "method": "PATCH", "times": 1})
    resume(shop)
    waits = [(sample.wait, sample.reason) for sample in newest().pace() if sample.wait]
    assert [reason for _, reason in waits] == ["throttled by OrderCloud"]
    assert waits[0][0] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("last", "ended", "window"),
    [
        ((40, 48, 0), timedelta(days=13), 20),
        ((48, 24, 0), timedelta(days=13), 12),
        ((400, 400, 0), timedelta(days=13), 64),
        ((2, 4, 0), timedelta(days=13), 4),
        ((40, 48, 1), timedelta(days=13), 4),
        ((40, 48, 0), timedelta(days=15), 4),
        (None, timedelta(days=13), 4),
    ],
)
def test_a_run_begins_with_half_of_what_the_last_one_had_in_flight(
    ocsync: Run, last: tuple[int, int, int] | None, ended: timedelta, window: int
) -> None:
    async def begin() -> int:
        profile = profile_dir()
        at = (datetime.now(UTC) - ended).isoformat()
        with profile.runs.create(RunInfo(id="r", started=at, ended=at), []) as run:
            if last:
                most, allowed, throttled = last
                log = run.open_pace_log()
                log.append(
                    PaceSample(
                        at=at, seconds=1.0, in_flight=most, window=allowed, throttled=throttled
                    )
                )
                log.close()
        connection = Connection("http://127.0.0.1:1", "http://127.0.0.1:1", "c", lambda: "s")
        async with open_client(connection, limits=Limits(64)) as api:
            begin_as_proven(Session(api, profile, Broadcast(), lambda question: False))
            return api.window

    assert asyncio.run(begin()) == window


def test_deletes_and_resyncs_have_a_pace_too(ocsync: Run, shop: Shop) -> None:
    shop.seed(product=[{"ID": f"P{n}", "Name": "n"} for n in range(4)])
    assert ocsync("resync", "products", "P0", "P1", "P2").code == 0
    assert sum(sample.ended for sample in newest().pace()) == 3
    assert ocsync("delete", "product/P0", "product/P1", "--yes").code == 0
    assert sum(sample.ended for sample in newest().pace()) == 2


def _remove(path: Path) -> None:
    path.unlink()


def _damage(path: Path) -> None:
    path.write_bytes(b'{"crc":"00000000","at":"x"}\nnonsense\n' + path.read_bytes()[:-9])


def _replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.quick(1)
@pytest.mark.parametrize("spoil", [_remove, _damage, _replace_by_folder])
def test_nothing_depends_on_it(ocsync: Run, shop: Shop, spoil: Callable[[Path], None]) -> None:
    refs = shop.stock(records=4)
    stage(ocsync, refs)
    crash_resume(shop, CrashPoint("request", 2, "after"))
    spoil(newest().path / "pace.jsonl")
    assert ocsync("doctor", "--offline", "--json").code == ocsync("doctor", "--offline").code
    assert ocsync("resume", "--verify").code == 0
    assert ocsync("history").code == 0
    run = newest()
    assert sum(sample.ended for sample in pace_of(run).samples) > 0
    assert ocsync("history", "prune", "--keep", "0", "--yes", "--json").data["removed"] == [run.id]


def test_a_run_without_it_is_derived_from_its_log(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=8)
    stage(ocsync, refs)
    assert ocsync("resume").code == 0
    (newest().path / "pace.jsonl").unlink()
    samples, measured = pace_of(newest())
    assert not measured
    assert sum(sample.sent for sample in samples) == sum(s.ended for s in samples) == 8
    assert {sample.wave for sample in samples} == {1}
    assert max(sample.in_flight for sample in samples) >= 1


def _stamp(milliseconds: int) -> str:
    at = datetime.fromtimestamp(1_780_000_000 + milliseconds / 1000, UTC)
    return at.isoformat(timespec="milliseconds")


_attempt = st.tuples(
    st.integers(0, 10_000_000), st.integers(0, 100_000), st.booleans(), st.sampled_from([*State, None])
)  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(st.lists(_attempt, max_size=40))
def test_a_derived_pace_counts_each_step_once(
    attempts: list[tuple[int, int, bool, State | None]],
) -> None:
    log: list[Intent | Outcome] = []
    for number, (start, took, begun, state) in enumerate(attempts):
        log += [Intent(number=number, ref="catalog/C", at=_stamp(start))] if begun else []
        if state:
            outcome = Outcome(number=number, ref="catalog/C", state=state, at=_stamp(start + took))
            log.append(outcome)
    samples = derive_samples(log, {})
    assert sum(sample.sent for sample in samples) == sum(one[2] for one in attempts)
    assert sum(sample.ended for sample in samples) == sum(one[3] is not None for one in attempts)
    assert all(sample.seconds > 0 and sample.in_flight >= 0 for sample in samples)
    starts = [datetime.fromisoformat(sample.at).timestamp() for sample in samples]
    assert starts == sorted(starts)


def test_requests_of_a_killed_command_are_counted_as_far_as_known(ocsync: Run, shop: Shop) -> None:
    """They are in the samples of its pace alone, as its end wrote no record."""
    stage(ocsync, shop.stock(records=30, products=5))
    shop.switch(latency=0.02)
    crash_resume(shop, CrashPoint("request", 25))
    shop.switch(latency=0)
    run = newest()
    known = sum(sample.sent for sample in run.pace())
    assert (known > 0, run.read_info().requests) == (True, 0)
    assert f", at least {known} requests, " in ocsync("history", run.id).out
    assert f"  {known}+  " in ocsync("history").out
    assert ocsync("history", "--json").data["runs"][0]["requests_at_least"] is True
    assert f"at least {known}" in ocsync("history", run.id, "--report", "html", "-").out

    sent = len(shop.requests())
    assert ocsync("resume").code == 0
    info = newest().read_info()
    assert known < info.requests <= known + len(shop.requests()) - sent
    assert f"at least {info.requests} requests" in ocsync("history", run.id).out


def test_requests_of_an_interrupted_command_are_counted_once(ocsync: Run, shop: Shop) -> None:
    stage(ocsync, shop.stock(records=30, products=5))
    wait = {"status": 503, "retry_after": 60}
    shop.faults({"method": "PATCH", "path": "/inventoryrecords", "after": 20, "times": 30, **wait})
    assert ocsync("resume", "--max-wait", "1s").code == 75
    shop.faults()
    info = newest().read_info()
    assert (info.state, info.requests > 20) == ("open", True)
    assert f", {info.requests} requests, " in ocsync("history", info.id).out
    assert ocsync("resume").code == 0
    assert not newest().read_info().requests_at_least
