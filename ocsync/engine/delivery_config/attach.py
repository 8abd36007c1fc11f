"""Attaching: a listener beside the real delivery target, and taking it away again.

Intent to disk, one PATCH, confirmed by GET. A target that is there and not ours is never written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from ocsync.client import read_targets
from ocsync.engine.delivery_config.bindings import read_config
from ocsync.engine.delivery_config.patch_probe import PATH, probe_patch, remove_probe
from ocsync.engine.polling import poll
from ocsync.engine.session import Session
from ocsync.errors import ApiError, ConfigError, NotFound, OcsyncError, Refused, TryLater
from ocsync.events import NoticeLevel
from ocsync.field_paths import json_equal
from ocsync.listener_attachment import (
    Attachment,
    AttachmentPhase,
    AttachmentState,
    attachment_state,
    destination_of,
    resolve_intent,
    target_in,
)
from ocsync.schema import Target

CONFIRM_SECONDS = 20.0
"""The time that a changed configuration may take to be seen; not documented."""
_DROPS = "drops the targets that a PATCH does not name"
_OTHER_WAY = {
    "Http": "use its Kafka target (--servers, --topic), or have that consumer pass messages on",
    "Kafka": "use its Http target (--endpoint), or have that consumer pass messages on",
}


class Listener(NamedTuple):
    """A listener to attach: the type of target, its fields that the platform shows, and its
    *secrets*.
    """

    target_type: str
    shown: dict[str, str]
    secrets: dict[str, str]


class Detached(NamedTuple):
    """The end of an attachment: whether the target had been there before, and what else of the
    configuration has *changed* since it was found.
    """

    attachment: Attachment
    was: AttachmentState
    changed: tuple[str, ...] = ()


async def attach(
    session: Session, targets: Sequence[Target], listener: Listener
) -> list[Attachment]:
    """Add *listener* to each configuration that delivers *targets*.

    Nothing is sent when one has such a target already that is not ours, or when the platform would
    not keep the others: Refused. One of ours that is there is changed.
    """
    known = await resolve_attachments(session)
    configs = await _configs_of(session, targets)
    found = [await read_config(session, name) for name in configs]
    _refuse_others(found, known, listener.target_type)
    for document in found:
        if document.get("Enabled") is False:
            session.notify(
                NoticeLevel.WARNING, f"{document['ID']} is disabled: it delivers nothing"
            )
    await _check_platform(session)
    return [
        await _attach(session, document, listener, known, names)
        for document, names in zip(found, configs.values(), strict=True)
    ]


async def resolve_attachments(session: Session) -> dict[str, Attachment]:
    """Return the attachments of this workspace by key; those that a crash left open are resolved by
    reading.

    The run lock must be held.
    """
    known = session.folder.read_attachments()
    kept = {}
    for key, mine in known.items():
        document = await _found(session, mine.config)
        if settled := resolve_intent(mine, document):
            kept[key] = settled
        elif target_in(document, mine.target_type):
            session.notify(NoticeLevel.WARNING, _not_ours(mine))
    if kept != known:
        session.folder.write_attachments(kept)
    return kept


async def detach(
    session: Session, targets: Sequence[Target] = (), endpoint: str = ""
) -> list[Detached]:
    """Take away what is attached by us: all of it, or what is attached for *targets*, or at
    *endpoint*. Raises the first refusal, after the others are taken away.
    """
    wanted = {target.name for target in targets}
    delivering = set(await _configs_of(session, targets, strict=False)) if wanted else set()
    done, refused = [], list[OcsyncError]()
    for mine in session.folder.read_attachments().values():
        by_name = mine.config.casefold() in delivering or wanted & set(mine.targets)
        if (wanted and not by_name) or (endpoint and endpoint not in _endpoints(mine)):
            continue
        try:
            done.append(await _detach(session, mine))
        except ApiError as error:
            refused.append(error)
    if not (wanted or endpoint):
        await remove_probe(session)
    if refused:
        raise refused[0]
    return done


async def unknown_listeners(
    session: Session, targets: Sequence[Target], endpoint: str
) -> list[str]:
    """Return the configurations of *targets* with an Http target at *endpoint* that this workspace
    did not attach.

    Such a one is left when the workspace that attached it is lost.
    """
    mine = {a.config.casefold() for a in session.folder.read_attachments().values()}
    names = [name for name in await _configs_of(session, targets, strict=False) if name not in mine]
    found = [await _found(session, name) for name in names]
    return [d["ID"] for d in found if target_in(d, "Http").get("Endpoint") == endpoint]


async def remove(session: Session, names: Sequence[str], target_type: str) -> None:
    """Remove the targets of type *target_type* from the configurations *names*, whoever added them.

    Raises Refused where the platform would take away more.
    """
    await _check_platform(session)
    for name in names:
        await _remove(session, name, target_type)


async def _check_platform(session: Session) -> None:
    """Refuse a platform on which a target cannot come and go without harm to the others."""
    keeps = await probe_patch(session)
    if not (keeps.others and keeps.removes):
        lacking = "does not take a target away again" if keeps.others else _DROPS
        text = f"this platform {lacking}; nothing was changed"
        raise Refused(text, hint="PUT the whole configuration, secrets and all, by other means")


async def _remove(session: Session, name: str, target_type: str) -> None:
    await session.api.write("PATCH", f"{PATH}/{name}", {"DeliveryTargets": {target_type: None}})
    await _confirm(session, name, lambda document: not target_in(document, target_type))


async def _attach(
    session: Session,
    found: dict[str, Any],
    listener: Listener,
    known: Mapping[str, Attachment],
    names: list[str],
) -> Attachment:
    config, target_type = str(found["ID"]), listener.target_type
    old = known.get(f"{config}/{target_type}")
    intent = Attachment(
        config=config,
        target_type=target_type,
        shown=listener.shown,
        phase=AttachmentPhase.ATTACHING,
        since=session.timestamp(),
        by=session.by,
        targets=sorted({*names, *(old.targets if old else ())}),
        was=old.shown if old else {},
        found=old.found if old else found,
    )
    _remember(session, intent)
    body = {"DeliveryTargets": {target_type: {**listener.shown, **listener.secrets}}}
    await session.api.write("PATCH", f"{PATH}/{config}", body)
    mine = msgspec.structs.replace(intent, phase=AttachmentPhase.ATTACHED, was={})
    await _confirm(
        session,
        config,
        lambda now: attachment_state(mine, now, target_type) is AttachmentState.OURS,
    )
    _remember(session, mine)
    return mine


async def _detach(session: Session, mine: Attachment) -> Detached:
    document = await _found(session, mine.config)
    was = attachment_state(mine, document, mine.target_type)
    if was is AttachmentState.OURS:
        _remember(session, msgspec.structs.replace(mine, phase=AttachmentPhase.DETACHING))
        await _remove(session, mine.config, mine.target_type)
        document = await _found(session, mine.config)
    _forget(session, mine)
    changed = _differences(mine.found, document) if document else []
    theirs = mine.target_type if was is AttachmentState.THEIRS else ""
    return Detached(mine, was, tuple(name for name in changed if name != theirs))


def _differences(found: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the fields and targets that are not as they were found."""
    old, new = _flat(found), _flat(now)
    return sorted(
        name for name in old.keys() | new.keys() if not json_equal(old.get(name), new.get(name))
    )


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    targets = document.get("DeliveryTargets")
    rest = {name: value for name, value in document.items() if name != "DeliveryTargets"}
    return {**rest, **(targets if isinstance(targets, dict) else {})}


def _refuse_others(
    found: Sequence[dict[str, Any]], known: Mapping[str, Attachment], target_type: str
) -> None:
    taken = []
    for document in found:
        mine = known.get(f"{document['ID']}/{target_type}")
        if attachment_state(mine, document, target_type) is AttachmentState.THEIRS:
            place = destination_of(target_in(document, target_type))
            article = "an HTTP" if target_type == "Http" else f"a {target_type}"
            taken.append(f"{document['ID']} has {article} target already ({place})")
    if taken:
        text = f"{'; '.join(taken)}: a configuration has one of each type, and it is not ours"
        raise Refused(text, hint=_OTHER_WAY[target_type])


async def _configs_of(
    session: Session, targets: Sequence[Target], *, strict: bool = True
) -> dict[str, list[str]]:
    """Return the configurations that deliver *targets*: lower-case name -> the names of the
    targets.

    Raises ConfigError for a target without a sync config, if *strict*.
    """
    states = await read_targets(session.api, targets)
    missing = [name for name, state in states.items() if not state.exists]
    if missing and strict:
        raise ConfigError(
            f"{', '.join(missing)}: no sync config on this marketplace",
            hint="ocsync delivery bind TARGET CONFIG",
        )
    found: dict[str, list[str]] = {}
    for name, state in states.items():
        if state.exists:
            found.setdefault(state.delivery.casefold(), []).append(name)
    return found


async def _found(session: Session, name: str) -> dict[str, Any]:
    """Return the configuration *name*, empty when it does not exist any more."""
    try:
        return await read_config(session, name)
    except NotFound:
        return {}


async def _confirm(session: Session, name: str, shows: Callable[[dict[str, Any]], bool]) -> None:
    async def is_so() -> bool:
        return shows(await _found(session, name))

    if not await poll(session, is_so, patience=CONFIRM_SECONDS):
        text = f"delivery configuration {name} does not show the change after {CONFIRM_SECONDS:g} s"
        raise TryLater(text, hint="ocsync delivery show, then the same command again")


def _endpoints(mine: Attachment) -> list[str]:
    return [shown["Endpoint"] for shown in (mine.shown, mine.was) if "Endpoint" in shown]


def _not_ours(mine: Attachment) -> str:
    return (
        f"{mine.config}: its {mine.target_type} target is not our listener any more; left as it is"
    )


def _remember(session: Session, mine: Attachment) -> None:
    session.folder.write_attachments({**session.folder.read_attachments(), mine.key: mine})


def _forget(session: Session, mine: Attachment) -> None:
    known = session.folder.read_attachments()
    session.folder.write_attachments({key: a for key, a in known.items() if key != mine.key})
