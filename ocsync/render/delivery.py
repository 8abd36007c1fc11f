"""Delivery configurations: the list of them, and the changes that a file makes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ocsync.field_paths import MISSING
from ocsync.listener_attachment import destination_of
from ocsync.render.text import Line, columns, count, value_text
from ocsync.secrets import SecretSource

if TYPE_CHECKING:
    from ocsync.engine.delivery_config.bindings import DeliveryConfig
    from ocsync.engine.delivery_config.diff import ConfigChange, Edit


def config_lines(
    configs: Sequence[DeliveryConfig], ours: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return a row for each delivery configuration, with this workspace's listener below it."""
    rows = columns(
        [
            (
                "▶" if config.document.get("Enabled") else "✗",
                config.document["ID"],
                ", ".join(config.kinds),
                ", ".join(config.targets) or "nothing",
            )
            for config in configs
        ],
        "<<<<",
    )
    lines: list[str] = []
    for config, row in zip(configs, rows, strict=True):
        lines.append(row)
        lines += [
            f"   + {key.partition('/')[2]} to this workspace's listener: "
            f"{destination_of(facts['shown'])}"
            for key, facts in ours.items()
            if key.partition("/")[0] == config.document["ID"]
        ]
    return lines


def sync_config_json(config: Mapping[str, Any]) -> str:
    """Return a sync config as one line of JSON, from which it can be created again."""
    given = {name: value for name, value in config.items() if value is not None}
    return json.dumps(given, ensure_ascii=False)


def count_configs(number: int) -> str:
    """Return *number* with its noun, as in `1 delivery configuration`."""
    return count(number, "delivery configuration")


def change_lines(changes: Iterable[ConfigChange]) -> Iterator[Line]:
    """Yield the changes that a file makes to each configuration."""
    for change in changes:
        yield _title_line(change)
        rows = [(edit.path, _edit_text(edit)) for edit in change.edits]
        for edit, line in zip(change.edits, columns(rows, "<<", indent=2), strict=True):
            yield edit.sign, line
        if any(edit.path == "Enabled" and edit.after is False for edit in change.edits):
            yield "!", "  changes made while it is disabled are probably lost; it is not a pause"
        if any(edit.sign == "-" for edit in change.edits):
            yield "!", "  a removed target cannot be restored: OrderCloud hides its secrets"
        for path in change.hidden:
            yield "=", f"  {path}  cannot be compared; --secrets sends it"
        if change.stays and change.edits:
            yield "=", f"  {', '.join(change.stays)}  not in the file; kept"


def _title_line(change: ConfigChange) -> Line:
    if change.current is None:
        return "+", f"{change.desired.id}  new"
    if not change.edits:
        return "=", f"{change.desired.id}  matches the file, as far as OrderCloud shows it"
    return "~", f"{change.desired.id}  {count(len(change.edits), 'change')}"


def _edit_text(edit: Edit) -> str:
    if isinstance(edit.after, SecretSource):
        again = "cannot be compared; sent " if edit.sign == "~" else ""
        return f"{again}from {edit.after.describe()}"
    if edit.sign == "-":
        return f"removed ({destination_of(edit.before) or 'with its secrets'})"
    now = value_text(edit.after)
    return now if edit.before is MISSING else f"{value_text(edit.before)} → {now}"


def change_document(change: ConfigChange) -> dict[str, Any]:
    """Return the change of a configuration as JSON data, without secrets."""
    action = "create" if change.current is None else "change" if change.edits else "none"
    return {
        "ID": change.desired.id,
        "action": action,
        "edits": [_edit_document(edit) for edit in change.edits],
        "secrets_not_compared": list(change.hidden),
        "stays": list(change.stays),
    }


_EDITS = {"+": "add", "~": "change", "-": "remove"}


def _edit_document(edit: Edit) -> dict[str, Any]:
    secret = isinstance(edit.after, SecretSource)
    after = None if secret or edit.after is MISSING else edit.after
    before = None if edit.before is MISSING else edit.before
    source = {"secret_from": edit.after.describe()} if secret else {}
    return {
        "edit": _EDITS[edit.sign],
        "path": edit.path,
        "before": before,
        "after": after,
        **source,
    }
