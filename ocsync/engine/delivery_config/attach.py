"""Attaching a listener beside the real delivery target, and removing it.

Each change records its intent on disk, sends one PATCH and confirms it by GET. A target that this
workspace did not attach is never written.
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
"""The time in which a changed configuration has to become visible; not documented."""
_DROPS = "removes every delivery target that a PATCH does not name"
_ALTERNATIVES = {
    "Http": "attach a Kafka listener (--servers, --topic), or forward messages from there",
    "Kafka": "attach an HTTP listener (--endpoint), or forward messages from there",
}


class Listener(NamedTuple):
    """A listener to attach: the type of target, its fields that the platform shows, and its
    *secrets*.
    """

    target_type: str
    shown: dict[str, str]
    secrets: dict[str, str]


class Detached(NamedTuple):
    """The end of an attachment: *state* is its state before it was removed, *changed* are the other
    fields and targets of the configuration that differ from those at the time of attaching.
    """

    attachment: Attachment
    state: AttachmentState
    changed: tuple[str, ...] = ()


async def attach(
    session: Session, targets: Sequence[Target], listener: Listener
) -> list[Attachment]:
    """Add *listener* to each configuration that delivers *targets*.

    Raises Refused, before anything is sent, when one already has such a target that this workspace
    did not attach, or when the platform would not keep the others. A target that this workspace
    attached before is changed.
    """
    known = await resolve_attachments(session)
    configs = await _configs_of(session, targets)
    documents = [await read_config(session, name) for name in configs]
    _refuse_occupied(documents, known, listener.target_type)
    for document in documents:
        if document.get("Enabled") is False:
            session.notify(
                NoticeLevel.WARNING, f"{document['ID']} is disabled and delivers nothing"
            )
    await _check_platform(session)
    return [
        await _attach(session, document, listener, known, names)
        for document, names in zip(documents, configs.values(), strict=True)
    ]


async def resolve_attachments(session: Session) -> dict[str, Attachment]:
    """Return the attachments of this workspace by key; those that a crash left open are resolved
    from the configuration on the marketplace.

    The run lock must be held.
    """
    known = session.folder.read_attachments()
    kept = {}
    for key, attachment in known.items():
        document = await _read_or_empty(session, attachment.config)
        if resolved := resolve_intent(attachment, document):
            kept[key] = resolved
        elif target_in(document, attachment.target_type):
            session.notify(NoticeLevel.WARNING, _replaced_text(attachment))
    if kept != known:
        session.folder.write_attachments(kept)
    return kept


async def detach(
    session: Session, targets: Sequence[Target] = (), endpoint: str = ""
) -> list[Detached]:
    """Remove the listeners that this workspace attached: all, or those for *targets*, or at
    *endpoint*. Raises the first refusal, after the others are removed.
    """
    target_names = {target.name for target in targets}
    configs = set(await _configs_of(session, targets, strict=False)) if target_names else set()
    detached, refused = [], list[OcsyncError]()
    for attachment in session.folder.read_attachments().values():
        by_name = attachment.config.casefold() in configs or target_names & set(attachment.targets)
        if (target_names and not by_name) or (endpoint and endpoint not in _endpoints(attachment)):
            continue
        try:
            detached.append(await _detach(session, attachment))
        except ApiError as error:
            refused.append(error)
    if not (target_names or endpoint):
        await remove_probe(session)
    if refused:
        raise refused[0]
    return detached


async def unknown_listeners(
    session: Session, targets: Sequence[Target], endpoint: str
) -> list[str]:
    """Return the configurations of *targets* with an Http target at *endpoint* that this workspace
    did not attach.

    Such a target remains when the workspace that attached it is lost.
    """
    own_configs = {a.config.casefold() for a in session.folder.read_attachments().values()}
    names = [
        name
        for name in await _configs_of(session, targets, strict=False)
        if name not in own_configs
    ]
    documents = [await _read_or_empty(session, name) for name in names]
    return [d["ID"] for d in documents if target_in(d, "Http").get("Endpoint") == endpoint]


async def remove(session: Session, names: Sequence[str], target_type: str) -> None:
    """Remove the targets of type *target_type* from the configurations *names*, whoever added them.

    Raises Refused where the platform would remove other targets too.
    """
    await _check_platform(session)
    for name in names:
        await _remove(session, name, target_type)


async def _check_platform(session: Session) -> None:
    """Refuse a platform on which adding or removing a target changes the others."""
    semantics = await probe_patch(session)
    if not (semantics.others and semantics.removes):
        lacking = "cannot remove a delivery target again" if semantics.others else _DROPS
        text = f"OrderCloud {lacking}; nothing was changed"
        raise Refused(text, hint="PUT the whole configuration, with its secrets, by other means")


async def _remove(session: Session, name: str, target_type: str) -> None:
    await session.api.write("PATCH", f"{PATH}/{name}", {"DeliveryTargets": {target_type: None}})
    await _confirm(session, name, lambda document: not target_in(document, target_type))


async def _attach(
    session: Session,
    document: dict[str, Any],
    listener: Listener,
    known: Mapping[str, Attachment],
    names: list[str],
) -> Attachment:
    config, target_type = str(document["ID"]), listener.target_type
    previous = known.get(f"{config}/{target_type}")
    intent = Attachment(
        config=config,
        target_type=target_type,
        shown=listener.shown,
        phase=AttachmentPhase.ATTACHING,
        since=session.timestamp(),
        by=session.by,
        targets=sorted({*names, *(previous.targets if previous else ())}),
        was=previous.shown if previous else {},
        found=previous.found if previous else document,
    )
    _save_attachment(session, intent)
    body = {"DeliveryTargets": {target_type: {**listener.shown, **listener.secrets}}}
    await session.api.write("PATCH", f"{PATH}/{config}", body)
    attached = msgspec.structs.replace(intent, phase=AttachmentPhase.ATTACHED, was={})
    await _confirm(
        session,
        config,
        lambda now: attachment_state(attached, now, target_type) is AttachmentState.OURS,
    )
    _save_attachment(session, attached)
    return attached


async def _detach(session: Session, attachment: Attachment) -> Detached:
    document = await _read_or_empty(session, attachment.config)
    was = attachment_state(attachment, document, attachment.target_type)
    if was is AttachmentState.OURS:
        _save_attachment(
            session, msgspec.structs.replace(attachment, phase=AttachmentPhase.DETACHING)
        )
        await _remove(session, attachment.config, attachment.target_type)
        document = await _read_or_empty(session, attachment.config)
    _drop_attachment(session, attachment)
    changed = _differences(attachment.found, document) if document else []
    taken_over = attachment.target_type if was is AttachmentState.THEIRS else ""
    return Detached(attachment, was, tuple(name for name in changed if name != taken_over))


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the fields and targets that differ between the two documents."""
    old, new = _flat(before), _flat(now)
    return sorted(
        name for name in old.keys() | new.keys() if not json_equal(old.get(name), new.get(name))
    )


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    targets = document.get("DeliveryTargets")
    rest = {name: value for name, value in document.items() if name != "DeliveryTargets"}
    return {**rest, **(targets if isinstance(targets, dict) else {})}


def _refuse_occupied(
    documents: Sequence[dict[str, Any]], known: Mapping[str, Attachment], target_type: str
) -> None:
    taken = []
    for document in documents:
        attachment = known.get(f"{document['ID']}/{target_type}")
        if attachment_state(attachment, document, target_type) is AttachmentState.THEIRS:
            address = destination_of(target_in(document, target_type))
            article = "an HTTP" if target_type == "Http" else f"a {target_type}"
            taken.append(f"{document['ID']} already has {article} target ({address})")
    if taken:
        text = f"{'; '.join(taken)}, and a configuration can have only one of each type"
        raise Refused(text, hint=_ALTERNATIVES[target_type])


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
    configs: dict[str, list[str]] = {}
    for name, state in states.items():
        if state.exists:
            configs.setdefault(state.delivery.casefold(), []).append(name)
    return configs


async def _read_or_empty(session: Session, name: str) -> dict[str, Any]:
    """Return the configuration *name*, empty when it does not exist any more."""
    try:
        return await read_config(session, name)
    except NotFound:
        return {}


async def _confirm(session: Session, name: str, shows: Callable[[dict[str, Any]], bool]) -> None:
    async def is_so() -> bool:
        return shows(await _read_or_empty(session, name))

    if not await poll(session, is_so, patience=CONFIRM_SECONDS):
        text = f"delivery configuration {name} still shows no change after {CONFIRM_SECONDS:g} s"
        raise TryLater(text, hint="ocsync delivery show, then the same command again")


def _endpoints(attachment: Attachment) -> list[str]:
    return [
        shown["Endpoint"] for shown in (attachment.shown, attachment.was) if "Endpoint" in shown
    ]


def _replaced_text(attachment: Attachment) -> str:
    target = f"{attachment.config}: its {attachment.target_type} target"
    return f"{target} is no longer this workspace's listener; left unchanged"


def _save_attachment(session: Session, attachment: Attachment) -> None:
    session.folder.write_attachments(
        {**session.folder.read_attachments(), attachment.key: attachment}
    )


def _drop_attachment(session: Session, attachment: Attachment) -> None:
    known = session.folder.read_attachments()
    session.folder.write_attachments({key: a for key, a in known.items() if key != attachment.key})
