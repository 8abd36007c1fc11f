"""Answers of the probe, kept in the profile's `marketplace.toml`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ocsync.store import ProfileDir


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to one question: a word, or a number; *at* is UTC, ISO 8601.

    *details* are further lines of evidence.
    """

    value: str | float
    evidence: str
    at: str = ""
    details: tuple[str, ...] = ()


def read_answers(folder: ProfileDir) -> dict[str, Answer]:
    """Return the answers by the name of their question; those that cannot be read are left out."""
    answers = {}
    for name, facts in folder.read_probe_answers().items():
        try:
            answers[name] = msgspec.convert(facts, Answer)
        except msgspec.ValidationError:
            continue
    return answers


def store_answers(folder: ProfileDir, answers: Mapping[str, Answer]) -> None:
    """Add *answers* to those that are kept, in place of earlier ones."""
    kept: dict[str, Any] = {**folder.read_probe_answers()}
    kept |= {name: msgspec.to_builtins(answer) for name, answer in answers.items()}
    folder.write_probe_answers(kept)
