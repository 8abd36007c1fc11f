"""A listener beside the real delivery target: what this workspace remembers of it.

Pure. It is written down before the platform is told (`attaching`), and again before it is taken
away (`detaching`); a crash in between is settled by what the platform says. What is remembered is
what is ours to take away.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from ocsync.field_paths import json_equal


class AttachmentPhase(StrEnum):
    """How far it has come; the first and the last are intents."""

    ATTACHING = "attaching"
    ATTACHED = "attached"
    DETACHING = "detaching"


class AttachmentState(StrEnum):
    """Whose a configuration's target of one type is."""

    FREE = "free"
    OURS = "ours"
    THEIRS = "theirs"


class Attachment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A listener of ours in delivery configuration *config*, as its target of type *target_type*.

    *shown* is what the platform shows of it, *was* what it showed before a change under way: never
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
        """The name it is kept under."""
        return f"{self.config}/{self.target_type}"


def destination_of(shown: Mapping[str, Any]) -> str:
    """Where a delivery target of what is *shown* delivers to, in words."""
    if shown.get("Topic"):
        return f"topic {shown['Topic']} at {shown.get('BootstrapServers')}"
    return str(shown.get("Endpoint") or "")


def target_in(document: Mapping[str, Any], target_type: str) -> dict[str, Any]:
    """The target of type *target_type* in a delivery configuration; empty for none."""
    targets = document.get("DeliveryTargets")
    found = targets.get(target_type) if isinstance(targets, dict) else None
    return found if isinstance(found, dict) else {}


def attachment_state(
    mine: Attachment | None, document: Mapping[str, Any], target_type: str
) -> AttachmentState:
    """Whose the target of type *target_type* in *document* is, as the platform shows it now."""
    there = target_in(document, target_type)
    if not there:
        return AttachmentState.FREE
    known = [shown for shown in (mine.shown, mine.was) if shown] if mine else []
    same = any(all(json_equal(there.get(n), v) for n, v in shown.items()) for shown in known)
    return AttachmentState.OURS if same else AttachmentState.THEIRS


def resolve_intent(mine: Attachment, document: Mapping[str, Any]) -> Attachment | None:
    """What remains of *mine* once the platform has told; None when nothing of ours is there."""
    if attachment_state(mine, document, mine.target_type) is not AttachmentState.OURS:
        return None
    there = target_in(document, mine.target_type)
    shown = {name: str(there.get(name) or "") for name in mine.shown}
    return msgspec.structs.replace(mine, phase=AttachmentPhase.ATTACHED, shown=shown, was={})
