"""The probe's conductor: asks the questions, one after the other, and removes what it created."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ocsync.client import read_targets
from ocsync.engine.pause.pausing import unpause
from ocsync.engine.probe.answers import Answer, store_answers
from ocsync.engine.probe.experiment import REASON, Experiment, Unanswered, refusal_of
from ocsync.engine.probe.experiments import ASK
from ocsync.engine.probe.questions import QUESTIONS
from ocsync.engine.probe.throwaway import PREFIX, Throwaway, read_leftovers
from ocsync.engine.session import Session, sign_in
from ocsync.errors import ApiError, Refused, UsageError
from ocsync.events import Reading
from ocsync.schema import TARGETS
from ocsync.store.profiles import is_production


class ProbeReport(NamedTuple):
    """Answers by the name of their question, and the reasons for those that have none."""

    answers: dict[str, Answer]
    unanswered: dict[str, str]


async def probe(
    session: Session, names: Sequence[str], *, patience: float, longest: float, pace: bool = False
) -> ProbeReport:
    """Ask the questions *names* (all, without any), and store their answers in the profile.

    Those that load the marketplace are among all only with *pace*. *patience* is how many seconds
    without a message are silence, *longest* how many a read may lag. The run lock must be held.
    Raises Refused for production, UsageError when the operator does not agree, and what the
    requests raise, once everything is removed again.
    """
    profile = session.folder.profile
    if (
        profile.production
        or profile.environment.endswith("-production")
        or is_production(profile.api_url)
    ):
        raise Refused(
            f"profile {profile.name} is for production, where probe creates nothing",
            hint="probe a sandbox: ocsync profile use NAME",
        )
    identity = await sign_in(session)
    if not session.ask(
        f"Create catalogs, products and a few other entities named {PREFIX}-... in "
        f"{identity.marketplace}, pause targets for some seconds, and then delete the entities?"
    ):
        raise UsageError("nothing was probed")
    answers: dict[str, Answer] = {}
    unanswered: dict[str, str] = {}
    async with Throwaway(session, patience=longest) as made:
        states = await read_targets(session.api, TARGETS.values())
        it = Experiment(
            session,
            made,
            states,
            session.folder.listener_runs(),
            patience=patience,
            longest=longest,
        )
        asked = names or tuple(n for n, q in QUESTIONS.items() if pace or not q.paced)
        for name in asked:
            session.raise_if_stopped()
            try:
                measured = await ASK[name](it)
            except Unanswered as reason:
                unanswered[name] = str(reason)
            except ApiError as error:
                unanswered[name] = refusal_of(error)
            else:
                answers[name] = Answer(
                    measured.value, measured.evidence, session.timestamp(), measured.details
                )
                store_answers(session.folder, {name: answers[name]})
            session.emit(Reading(len(answers) + len(unanswered), len(asked)))
    return ProbeReport(answers, unanswered)


async def clean(session: Session) -> list[str]:
    """Delete what an earlier probe left behind, and end its pauses; return what was deleted.

    The run lock must be held. Raises ApiError for what cannot be deleted, once all is tried.
    """
    left = read_leftovers(session.folder)
    pauses = session.folder.read_pauses()
    paused = [TARGETS[name] for name, pause in pauses.items() if pause.reason == REASON]
    await sign_in(session)
    await unpause(session, paused)
    await Throwaway(session).remove_all()
    return left
