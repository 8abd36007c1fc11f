"""Listeners for events: lines for people, NDJSON for programs."""

from __future__ import annotations

import json

import pytest

from ocsync.events import Notice, NoticeLevel
from ocsync.render.console import Console
from ocsync.render.progress import event_listener

SIGNS = {"warning": "!", "paused": "‖", "running": "▶", "done": "✓", "added": "+", "detail": " "}


@pytest.mark.parametrize("level", NoticeLevel)
def test_a_notice_has_the_sign_of_its_level(
    level: NoticeLevel, capsys: pytest.CaptureFixture[str]
) -> None:
    with event_listener(Console(json=True), stream=True) as emit:
        emit(Notice(level, "what happened"))
    event = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert event == {"type": "notice", "level": level.value, "text": "what happened"}
    with event_listener(Console(), stream=False) as emit:
        emit(Notice(level, "what happened"))
    assert capsys.readouterr().err == f"  {SIGNS[level.value]} what happened\n"
