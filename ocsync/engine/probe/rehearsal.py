"""Options of an emulator that behaves as a probed marketplace does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from ocsync.engine.probe.answers import Answer
from ocsync.engine.probe.questions import QUESTIONS
from ocsync.errors import FileMissing, InputError

_GET_LAG = "product-get-lag"


def switches(answers: Mapping[str, Answer]) -> dict[str, Any]:
    """Return the emulator's options by name, times in seconds, for the answers that have one."""
    found = {
        question.switch: answers[name].value
        for name, question in QUESTIONS.items()
        if question.switch and name in answers
    }
    if _GET_LAG in answers:
        found["lag_get"] = bool(answers[_GET_LAG].value)
    return found


def read_answer_file(path: Path) -> dict[str, Answer]:
    """Return the answers in *path*: what `ocsync probe --show --json` prints, or a
    `marketplace.toml`. Raises FileMissing, InputError.
    """
    import tomllib

    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise FileMissing(f"{path}: {error.strerror}") from error
    try:
        if path.suffix == ".toml":
            found = tomllib.loads(text)["probe"]
        else:
            rows = msgspec.json.decode(text)["answers"]
            found = {
                row["name"]: {key: row[key] for key in ("value", "evidence")}
                for row in rows
                if row["value"] is not None
            }
        answers = {name: msgspec.convert(facts, Answer) for name, facts in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        hint = "to write one: ocsync probe --show --json > FILE"
        raise InputError(f"{path} is not the output of ocsync probe", hint=hint) from error
    for name, answer in answers.items():
        values = QUESTIONS[name].values if name in QUESTIONS else ()
        if values and answer.value not in values:
            raise InputError(f"{path}: {name} is {answer.value!r}, not one of {', '.join(values)}")
    return answers
