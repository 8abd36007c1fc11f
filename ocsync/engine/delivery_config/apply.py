"""Applying a file of delivery configurations: read, compare, resolve secrets, then send.

Nothing is sent when the file has an error or a secret cannot be read. A configuration that exists
is patched, a new one is put. A second run of the same file sends nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ocsync.engine.delivery_config.diff import ConfigChange, body_of, plan_change, validate
from ocsync.engine.delivery_config.patch_probe import PATH, PatchSemantics, probe_patch
from ocsync.engine.session import Session
from ocsync.errors import (
    ConfigError,
    Conflict,
    NotFound,
    Refused,
    TrustRequired,
)
from ocsync.field_paths import json_equal
from ocsync.intake.delivery_file import DesiredConfig, problem_of, refusal
from ocsync.intake.field_values import FieldError
from ocsync.schema import DELIVERY_TARGETS
from ocsync.secrets import SecretSource, resolve

Secrets = dict[SecretSource, str]


async def plan_changes(
    session: Session, label: str, configs: Iterable[DesiredConfig], *, secrets: bool
) -> list[ConfigChange]:
    """Compare *configs*, of file *label*, with the marketplace. Raises InputError, Refused."""
    changes = [
        plan_change(one, await _read_config(session, one.id), secrets=secrets) for one in configs
    ]
    problems = [
        problem_of(label, one.desired.id, fault) for one in changes for fault in validate(one)
    ]
    if problems:
        raise refusal(problems)
    attached = {key.casefold() for key in session.folder.read_raw_attachments()}
    taken = [
        f"{change.desired.id} {target_type}"
        for change in changes
        for target_type in change.changed
        if f"{change.desired.id}/{target_type}".casefold() in attached
    ]
    if taken:
        text = f"{', '.join(taken)}: this workspace's listener is attached there"
        raise Refused(text, hint="ocsync delivery detach")
    return changes


def resolve_secrets(label: str, changes: Iterable[ConfigChange], *, run_commands: bool) -> Secrets:
    """Return every secret to be sent. Raises TrustRequired for commands that are not trusted, and
    InputError with all secrets that cannot be read or are too long.
    """
    named_sources = [
        (one.desired.id, path, source) for one in changes for path, source in one.sources
    ]
    commands_to_run = sorted({source.command for _, _, source in named_sources if source.command})
    if commands_to_run and not run_commands:
        shown = ", ".join(f"`{command}`" for command in commands_to_run)
        text = f"{label} runs {shown} to read secrets"
        raise TrustRequired(text, hint="review the file; if you trust it, give --run-commands")
    secrets: Secrets = {}
    problems = []
    for config_id, path, source in named_sources:
        try:
            if source not in secrets:
                secrets[source] = resolve(source, f"{config_id} {path}")
            reason = _too_long(path, secrets[source])
        except ConfigError as error:
            reason = error.message
        if reason:
            problems.append(problem_of(label, config_id, FieldError(path, "", reason)))
    if problems:
        raise refusal(problems)
    return secrets


async def apply(
    session: Session, changes: Sequence[ConfigChange], secrets: Mapping[SecretSource, str]
) -> None:
    """Send the changes. Raises Refused, before anything is sent, where a PATCH would lose values
    that cannot be restored; Conflict when somebody else has changed a configuration since.
    """
    semantics = await probe_patch(session) if any(map(_depends_on_patch, changes)) else None
    names_every = {
        change.desired.id: semantics is not None and _names_every(change, semantics)
        for change in changes
    }
    for change in changes:
        if change.edits:
            await _send(
                session,
                change,
                body_of(change, secrets, all_targets=names_every[change.desired.id]),
            )


def _depends_on_patch(change: ConfigChange) -> bool:
    """Return whether the result depends on how a PATCH treats fields that it does not name."""
    return change.current is not None and bool(change.changed) and not change.whole


def _names_every(change: ConfigChange, semantics: PatchSemantics) -> bool:
    """Return whether the PATCH has to name every target. Raises Refused where something would be
    lost.
    """
    if not _depends_on_patch(change):
        return False
    if semantics.others and change.removes and not semantics.removes:
        raise Refused(f"{change.desired.id}: OrderCloud cannot remove a delivery target by PATCH")
    lost = [*change.stays, *change.hidden, *change.unseen(change.desired.targets)]
    if semantics.others:
        lost = [] if semantics.fields else change.unseen(change.changed)
    if lost:
        raise Refused(
            f"{change.desired.id}: OrderCloud would remove {', '.join(lost)}; nothing was sent",
            hint="name every target in the file, each with its secrets, and give --secrets",
        )
    return not semantics.others


async def _send(session: Session, change: ConfigChange, body: Any) -> None:
    config_id = change.desired.id
    if not json_equal(await _read_config(session, config_id), change.current):
        text = f"someone else has changed {config_id} in the meantime; nothing was sent for it"
        raise Conflict(text, hint="run the same command again to see its current values")
    await session.api.write(
        "PATCH" if change.current is not None else "PUT", f"{PATH}/{config_id}", body
    )
    remaining = plan_change(change.desired, await _read_config(session, config_id), secrets=False)
    if remaining.edits:
        paths = ", ".join(edit.path for edit in remaining.edits)
        raise Conflict(
            f"{config_id} was sent, but OrderCloud does not show the new values: {paths}"
        )


async def _read_config(session: Session, config_id: str) -> dict[str, Any] | None:
    try:
        return await session.api.get(f"{PATH}/{config_id}")
    except NotFound:
        return None


def _too_long(path: str, secret: str) -> str:
    target_type, _, name = path.partition(".")
    field = DELIVERY_TARGETS[target_type].get(name)
    limit = field.max if field else None
    return f"has more than {limit} characters" if limit and len(secret) > limit else ""
