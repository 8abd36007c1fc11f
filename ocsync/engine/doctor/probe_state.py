"""Checks for what a probe left behind, and for the questions that it has not answered."""

from __future__ import annotations

from collections.abc import Iterator

from ocsync.engine.doctor.check import CheckResult, Setup, passed, problem, warning
from ocsync.engine.probe.answers import read_answers
from ocsync.engine.probe.questions import QUESTIONS
from ocsync.plurals import count, first_few
from ocsync.store.profiles import is_production

_MOST_NAMES = 5


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
    answers = read_answers(setup.folder)
    described = answers.get("api-description")
    if described and described.details:
        yield warning(
            f"OrderCloud's {described.evidence}",
            "ocsync follows its own tables, so it may refuse or omit new fields",
            "ocsync probe --show",
        )._replace(details=described.details)
    missing = [name for name, q in QUESTIONS.items() if name not in answers and not q.paced]
    usual = [name for name, question in QUESTIONS.items() if not question.paced]
    text = f"{len(usual) - len(missing)} of {len(usual)} questions answered"
    open_ones = f"; ocsync probe answers {first_few(missing, _MOST_NAMES)}" if missing else ""
    yield passed(text + open_ones)
