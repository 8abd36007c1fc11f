"""Checks for what a probe left behind, and for the questions that it has not answered."""

from __future__ import annotations

from collections.abc import Iterator

from ocsync.engine.doctor.check import CheckResult, Setup, passed, problem
from ocsync.engine.probe.answers import read_answers
from ocsync.engine.probe.questions import QUESTIONS
from ocsync.plurals import count
from ocsync.store.profiles import is_production


def probe_answers(setup: Setup) -> Iterator[CheckResult]:
    """Check that nothing is left of a probe, and name the open questions.

    Production is never probed, so there nothing is missing.
    """
    if left := setup.folder.read_probe_leftovers():
        yield problem(
            f"a probe left {count(len(left), 'entity')} behind",
            "they are delivered like all other entities",
            "ocsync probe --clean",
        )
    if is_production(setup.folder.profile.api_url):
        yield passed("production is not probed")
        return
    missing = [name for name in QUESTIONS if name not in read_answers(setup.folder)]
    text = f"{len(QUESTIONS) - len(missing)} of {len(QUESTIONS)} questions answered"
    open_ones = f"; ocsync probe answers {', '.join(missing)}" if missing else ""
    yield passed(text + open_ones)
