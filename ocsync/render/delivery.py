"""Deliveries: what was received, and the configurations that it came by."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ocsync.field_paths import MISSING
from ocsync.listener_attachment import place_of
from ocsync.render.text import columns, count, value, width
from ocsync.secrets import SecretSource

if TYPE_CHECKING:
    from ocsync.engine.delivery_config.bindings import DeliveryConfig
    from ocsync.engine.delivery_config.diff import ConfigChange, Edit


_WIDTH = 80


def configured(found: Sequence[DeliveryConfig], ours: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A row a delivery configuration, with our listener below it."""
    heads = columns(
        [
            ("▶" if one.document.get("Enabled") else "✗", one.document["ID"], ", ".join(one.kinds))
            for one in found
        ],
        "<<<",
    )
    room = max(map(width, heads), default=0) + 2
    lines = []
    for one, head in zip(found, heads, strict=True):
        said = ", ".join(one.targets) or "nothing"
        names = textwrap.wrap(said, max(_WIDTH - room, 20), break_on_hyphens=False)
        lines.append(head + " " * (room - width(head)) + names[0])
        lines += [" " * room + more for more in names[1:]]
        lines += [
            f"   + {key.partition('/')[2]} is our listener: {place_of(facts['shown'])}"
            for key, facts in ours.items()
            if key.partition("/")[0] == one.document["ID"]
        ]
    return lines


def sync_config(config: Mapping[str, Any]) -> str:
    """A sync config on one line, as JSON, so that it can be made again."""
    said = {name: value for name, value in config.items() if value is not None}
    return json.dumps(said, ensure_ascii=False)


def configurations(number: int) -> str:
    """`1 delivery configuration`."""
    return count(number, "delivery configuration")


def differences(drafts: Iterable[ConfigChange]) -> Iterator[tuple[str, str]]:
    """What a file would change, configuration by configuration."""
    for one in drafts:
        yield _head(one)
        rows = [(edit.path, _change(edit)) for edit in one.edits]
        for edit, line in zip(one.edits, columns(rows, "<<"), strict=True):
            yield edit.sign, f"  {line}"
        if any(edit.path == "Enabled" and edit.after is False for edit in one.edits):
            yield "!", "  what changes while it is disabled is probably lost: this is no pause"
        if any(edit.sign == "-" for edit in one.edits):
            yield "!", "  what is taken away cannot be put back: OrderCloud hides its secrets"
        for path in one.hidden:
            yield "=", f"  {path}  cannot be compared; --secrets sends it"
        if one.stays and one.edits:
            yield "=", f"  {', '.join(one.stays)}  not in the file; stays"


def _head(one: ConfigChange) -> tuple[str, str]:
    if one.found is None:
        return "+", f"{one.wanted.id}  is new"
    if not one.edits:
        return "=", f"{one.wanted.id}  is as in the file, as far as OrderCloud shows it"
    return "~", f"{one.wanted.id}  {count(len(one.edits), 'change')}"


def _change(edit: Edit) -> str:
    if isinstance(edit.after, SecretSource):
        again = "cannot be compared; is sent, " if edit.sign == "~" else ""
        return f"{again}from {edit.after.text()}"
    if edit.sign == "-":
        return f"taken away ({place_of(edit.before) or 'its secrets go with it'})"
    now = value(edit.after)
    return now if edit.before is MISSING else f"{value(edit.before)} → {now}"


def facts(one: ConfigChange) -> dict[str, Any]:
    """A draft as data, without secrets."""
    action = "create" if one.found is None else "change" if one.edits else "none"
    return {
        "ID": one.wanted.id,
        "action": action,
        "edits": [_edit_facts(edit) for edit in one.edits],
        "secrets_not_compared": list(one.hidden),
        "stays": list(one.stays),
    }


def _edit_facts(edit: Edit) -> dict[str, Any]:
    secret = isinstance(edit.after, SecretSource)
    after = None if secret or edit.after is MISSING else edit.after
    before = None if edit.before is MISSING else edit.before
    source = {"secret_from": edit.after.text()} if secret else {}
    return {"sign": edit.sign, "path": edit.path, "before": before, "after": after, **source}
