"""Checks of the sync and delivery configurations that this workspace uses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib.util import find_spec

from ocsync.client.sync_configs import read_target
from ocsync.engine.delivery_config.bindings import read_config
from ocsync.engine.doctor.check import CheckResult, of_error, passed, problem, warning
from ocsync.engine.doctor.server_context import ServerContext, Use
from ocsync.engine.pause.pausing import TargetStatus, config_changes, judge, note_lost, uncertain
from ocsync.errors import ApiError, NotFound, RoleMissing
from ocsync.pause import PauseState
from ocsync.plurals import count
from ocsync.schema import TARGETS


async def targets(context: ServerContext) -> AsyncIterator[CheckResult]:
    """Check each sync config against the pauses and the uses of this workspace."""
    pauses = context.setup.folder.read_pauses()
    unread: dict[str, str] = {}
    all_passed = True
    for name, target in TARGETS.items():
        try:
            context.states[name] = state = await read_target(context.session.api, target)
        except RoleMissing:
            unread[name] = f"needs {target.role}"
            continue
        except ApiError as error:
            unread[name] = error.message
            continue
        status = judge(context.session, target, state, pauses)
        note_lost(context.session, [status])
        for result in _target_results(status, context.use):
            all_passed = False
            yield result
    for name, reason in unread.items():
        if name in context.use.targets or not reason.startswith("needs"):
            all_passed = False
            yield warning(
                f"{name} could not be read: {reason}", "it is unknown whether it is paused"
            )
    if all_passed:
        configured = [n for n, s in context.states.items() if s.exists]
        yield passed(f"{count(len(configured), 'sync config')}, as this workspace expects")


def _target_results(status: TargetStatus, use: Use) -> list[CheckResult]:
    name, state = status.target.name, status.server
    used = name in use.targets
    results: list[CheckResult] = []
    if status.state is PauseState.UNPAUSED_BY_OTHER:
        results.append(
            problem(
                f"someone else unpaused {name}, which this workspace had paused",
                "changes are being delivered one by one again",
                f"ocsync pause {name}, or ocsync unpause {name} to forget it",
            )
        )
    elif status.state is PauseState.UNCERTAIN:
        error = uncertain([name])
        results.append(of_error(error, "ocsync unpauses it only if you say so"))
    elif status.state is PauseState.NO_CONFIG and status.pause:
        results.append(
            problem(
                f"{name} was paused, but its sync config no longer exists",
                "there is nothing to unpause, and its changes are not delivered",
                f"ocsync unpause {name} to forget the pause, or create the sync config again",
            )
        )
    elif status.state is PauseState.NO_CONFIG and used:
        results.append(
            warning(
                f"{name} ({use.targets[name]}) has no sync config",
                "its changes are not delivered, and it cannot be paused",
                f"if that is not intended: ocsync delivery bind {name} CONFIG",
            )
        )
    elif status.state is PauseState.PAUSED_BY_OTHER and used:
        results.append(
            warning(
                f"{name} ({use.targets[name]}) is paused by someone else",
                "changes that resume sends are delivered only when that pause ends",
                f"ocsync pause {name} --adopt, or ocsync unpause {name} --force",
            )
        )
    changed = config_changes(status)
    if changed:
        results.append(
            warning(
                f"the sync config of {name} has changed since the pause: {'; '.join(changed)}",
                "someone else changed it; unpausing keeps the change",
                "ocsync targets",
            )
        )
    if state.exists and used and not state.sends_changes:
        results.append(
            warning(
                f"{name} has {status.target.flags[0]}=false",
                "its changes are not sent, except by sync requests",
                f"set it to true in the sync config of {name}, or: ocsync resync {name} ID...",
            )
        )
    return results


async def delivery(context: ServerContext) -> AsyncIterator[CheckResult]:
    """Check that the delivery configurations in use exist and are enabled."""
    users: dict[str, list[str]] = {}
    for name in context.use.targets:
        state = context.states.get(name)
        if state and state.exists:
            users.setdefault(state.delivery, []).append(name)
    all_passed = True
    for config, names in users.items():
        for result in await _config_results(context, config, ", ".join(names)):
            all_passed = False
            yield result
    if all_passed:
        yield passed(f"{len(users)} in use, enabled" if users else "none in use")


async def _config_results(context: ServerContext, config: str, names: str) -> list[CheckResult]:
    consequence = f"changes of {names} are not delivered"
    try:
        document = await read_config(context.session, config)
    except NotFound:
        return [
            problem(
                f"delivery configuration {config} of {names} does not exist",
                consequence,
                f"ocsync delivery list, then ocsync delivery bind {names} CONFIG",
            )
        ]
    except RoleMissing:
        return [
            warning(
                f"delivery configuration {config} of {names} cannot be read",
                "it is unknown whether it is enabled",
                "give the API client the role DeliveryConfigAdmin",
            )
        ]
    results = []
    if document.get("Enabled") is False:
        results.append(
            problem(
                f"delivery configuration {config} of {names} is disabled",
                consequence,
                f"ocsync delivery show {config}, then set Enabled=true",
            )
        )
    targets = document.get("DeliveryTargets")
    kafka = isinstance(targets, dict) and bool(targets.get("Kafka"))
    if kafka and find_spec("confluent_kafka") is None:
        results.append(
            warning(
                f"{names} deliver to Kafka, but confluent-kafka is not installed",
                "ocsync cannot listen to that topic",
                "pip install 'ocsync[kafka]'",
            )
        )
    return results
