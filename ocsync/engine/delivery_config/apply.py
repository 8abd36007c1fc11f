"""Applying a file of delivery configurations: read, compare, resolve secrets, then send.

Nothing is sent when anything of the file is wrong or a secret cannot be had. A configuration that
is there is patched, a new one is put. Run again, it sends nothing.
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
    session: Session, label: str, wanted: Iterable[DesiredConfig], *, secrets: bool
) -> list[ConfigChange]:
    """Hold *wanted*, of file *label*, against the marketplace. Raises InputError, Refused."""
    found = [plan_change(one, await _found(session, one.id), secrets=secrets) for one in wanted]
    problems = [problem_of(label, one.wanted.id, fault) for one in found for fault in validate(one)]
    if problems:
        raise refusal(problems)
    ours = {key.casefold() for key in session.folder.read_raw_attachments()}
    taken = [
        f"{change.wanted.id} {target_type}"
        for change in found
        for target_type in change.changed
        if f"{change.wanted.id}/{target_type}".casefold() in ours
    ]
    if taken:
        text = f"{', '.join(taken)}: that is the listener that this workspace has attached"
        raise Refused(text, hint="ocsync delivery detach")
    return found


def resolved(label: str, found: Iterable[ConfigChange], *, run_commands: bool) -> Secrets:
    """Return every secret to be sent. Raises TrustRequired for commands that are not trusted, and
    InputError with all secrets that cannot be had or are too long.
    """
    named = [(one.wanted.id, path, source) for one in found for path, source in one.sources]
    commands = sorted({source.command for _, _, source in named if source.command})
    if commands and not run_commands:
        shown = ", ".join(f"`{command}`" for command in commands)
        text = f"{label} wants to run {shown}"
        raise TrustRequired(text, hint="look at it, then give --run-commands if you trust it")
    secrets: Secrets = {}
    problems = []
    for own, path, source in named:
        try:
            if source not in secrets:
                secrets[source] = resolve(source, f"{own} {path}")
            why = _too_long(path, secrets[source])
        except ConfigError as error:
            why = error.message
        if why:
            problems.append(problem_of(label, own, FieldError(path, "", why)))
    if problems:
        raise refusal(problems)
    return secrets


async def apply(
    session: Session, found: Sequence[ConfigChange], secrets: Mapping[SecretSource, str]
) -> None:
    """Send what differs. Raises Refused, before anything is sent, where a PATCH would lose what
    cannot be put back; Conflict when somebody changed a configuration meanwhile.
    """
    keeps = await probe_patch(session) if any(map(_relies, found)) else None
    every = {one.wanted.id: keeps is not None and _names_every(one, keeps) for one in found}
    for one in found:
        if one.edits:
            await _send(session, one, body_of(one, secrets, every=every[one.wanted.id]))


def _relies(one: ConfigChange) -> bool:
    """Return whether the result depends on how a PATCH treats what it does not name."""
    return one.found is not None and bool(one.changed) and not one.whole


def _names_every(one: ConfigChange, keeps: PatchSemantics) -> bool:
    """Return whether the PATCH has to name every target. Raises Refused where something would be
    lost.
    """
    if not _relies(one):
        return False
    if keeps.others and one.removes and not keeps.removes:
        raise Refused(f"{one.wanted.id}: this platform does not take a target away")
    lost = [*one.stays, *one.hidden, *one.unseen(one.wanted.targets)]
    if keeps.others:
        lost = [] if keeps.fields else one.unseen(one.changed)
    if lost:
        raise Refused(
            f"{one.wanted.id}: this platform would drop {', '.join(lost)}; nothing was sent",
            hint="name every target in the file, each with its secrets, and give --secrets",
        )
    return not keeps.others


async def _send(session: Session, one: ConfigChange, body: Any) -> None:
    own = one.wanted.id
    if not json_equal(await _found(session, own), one.found):
        text = f"{own} was changed by somebody else meanwhile; it was not sent"
        raise Conflict(text, hint="the same command again shows how it stands")
    await session.api.write("PATCH" if one.found is not None else "PUT", f"{PATH}/{own}", body)
    left = plan_change(one.wanted, await _found(session, own), secrets=False)
    if left.edits:
        paths = ", ".join(edit.path for edit in left.edits)
        raise Conflict(f"{own} was sent, but does not show it: {paths}")


async def _found(session: Session, own: str) -> dict[str, Any] | None:
    try:
        return await session.api.get(f"{PATH}/{own}")
    except NotFound:
        return None


def _too_long(path: str, secret: str) -> str:
    target_type, _, name = path.partition(".")
    field = DELIVERY_TARGETS[target_type].get(name)
    most = field.max if field else None
    return f"is more than {most} characters" if most and len(secret) > most else ""
