"""The groups in which a recorder writes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from ocsync.engine.recorder import Recorder
from ocsync.models import Intent, Outcome, State
from ocsync.store import Run, RunInfo
from tests.in_process import profile_dir

pytestmark = pytest.mark.usefixtures("ocsync")


def groups_of(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[Recorder], Awaitable[None]]
) -> list[list[int]]:
    """The numbers of the records that were written together, with one slot for requests."""
    monkeypatch.setattr("ocsync.engine.recorder._GROUP_SECONDS", 30.0)
    groups: list[list[int]] = []
    record = Run.record

    def recorded(run: Run, records: Sequence[Intent | Outcome]) -> None:
        groups.append([one.number for one in records])
        record(run, records)

    async def go() -> None:
        with profile_dir().runs.create(RunInfo(id="r"), []) as run:
            async with asyncio.timeout(5), Recorder(run, lambda _: None, slots=lambda: 1) as one:
                await act(one)
            assert [r.number for r in run.outcomes()] == [n for group in groups for n in group]

    monkeypatch.setattr(Run, "record", recorded)
    asyncio.run(go())
    return groups


def intent(number: int) -> Intent:
    return Intent(number=number, ref=f"catalog/C{number}")


def done(number: int) -> Outcome:
    return Outcome(number=number, ref=f"catalog/C{number}", state=State.DONE)


async def waiting(recorder: Recorder, *numbers: int) -> list[asyncio.Task[None]]:
    """Intents that are handed in one after the other, while no slot is free."""
    await recorder.intend(intent(1))
    tasks = []
    for number in numbers:
        tasks.append(asyncio.create_task(recorder.intend(intent(number))))
        await asyncio.sleep(0.005)
    return tasks


def test_records_wait_for_each_other_while_no_slot_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(recorder: Recorder) -> None:
        tasks = await waiting(recorder, 2, 3)
        assert not any(task.done() for task in tasks)
        await recorder.end(done(1))
        await asyncio.gather(*tasks)

    assert groups_of(monkeypatch, act) == [[1], [2, 3, 1]], "the outcome frees the slot"


def test_an_intent_that_has_its_slot_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(recorder: Recorder) -> None:
        tasks = await waiting(recorder, 2)
        await recorder.intend(intent(3), at_once=True)
        await asyncio.gather(*tasks)

    assert groups_of(monkeypatch, act) == [[1], [2, 3]]


def test_a_large_group_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocsync.engine.recorder._GROUP_SIZE", 3)

    async def act(recorder: Recorder) -> None:
        await asyncio.gather(*await waiting(recorder, 2, 3, 4))

    assert groups_of(monkeypatch, act) == [[1], [2, 3, 4]]


def test_the_end_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(recorder: Recorder) -> None:
        await waiting(recorder)
        await recorder.intend(intent(2), at_once=True)
        await recorder.end(done(1))

    assert groups_of(monkeypatch, act) == [[1], [2], [1]]
