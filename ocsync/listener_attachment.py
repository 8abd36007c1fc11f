"""Attachment of a listener beside the real delivery target, as this workspace recorded it.

Pure. It is recorded before the platform is asked (`attaching`), and again before it is removed
(`detaching`); the platform's state settles a crash in between. This workspace removes only what it
recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from ocsync.field_paths import json_equal


class AttachmentPhase(StrEnum):
    """Progress of an attachment; the first and the last are intents."""

    ATTACHING = "attaching"
    ATTACHED = "attached"
    DETACHING = "detaching"


class AttachmentState(StrEnum):
    """Owner of a configuration's target of one type."""

    FREE = "free"
    OURS = "ours"
    THEIRS = "theirs"


class Attachment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Listener of this workspace in configuration *config*, as its target of type *target_type*.

    *shown* is the target as the platform shows it, *was* the same before a change under way: never
    its secrets. *targets* are the sync targets it was attached for, *found* is the configuration
    before. *since* is UTC, ISO 8601.
    """

    config: str
    target_type: str
    shown: dict[str, str]
    phase: AttachmentPhase
    since: str
    by: str = ""
    targets: list[str] = []
    was: dict[str, str] = {}
    found: dict[str, Any] = {}

    @property
    def key(self) -> str:
        """Name under which it is recorded: CONFIG/TYPE."""
        return f"{self.config}/{self.target_type}"


def destination_of(shown: Mapping[str, Any]) -> str:
    """Return, in words, where the delivery target *shown* delivers to."""
    if shown.get("Topic"):
        return f"topic {shown['Topic']} at {shown.get('BootstrapServers')}"
    return str(shown.get("Endpoint") or "")


def target_in(document: Mapping[str, Any], target_type: str) -> dict[str, Any]:
    """Return the target of type *target_type* in a delivery configuration; empty for none."""
    targets = document.get("DeliveryTargets")
    target = targets.get(target_type) if isinstance(targets, dict) else None
    return target if isinstance(target, dict) else {}


def attachment_state(
    mine: Attachment | None, document: Mapping[str, Any], target_type: str
) -> AttachmentState:
    """Return the owner of *document*'s target of type *target_type*, as the platform shows it."""
    target = target_in(document, target_type)
    if not target:
        return AttachmentState.FREE
    known = [shown for shown in (mine.shown, mine.was) if shown] if mine else []
    same = any(all(json_equal(target.get(n), v) for n, v in shown.items()) for shown in known)
    return AttachmentState.OURS if same else AttachmentState.THEIRS


def resolve_intent(mine: Attachment, document: Mapping[str, Any]) -> Attachment | None:
    """Return *mine* as *document* confirms it; None if this workspace has nothing there."""
    if attachment_state(mine, document, mine.target_type) is not AttachmentState.OURS:
        return None
    target = target_in(document, mine.target_type)
    shown = {name: str(target.get(name) or "") for name in mine.shown}
    return msgspec.structs.replace(mine, phase=AttachmentPhase.ATTACHED, shown=shown, was={})
