"""The sync configuration of each target, as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ocsync.render.text import columns

if TYPE_CHECKING:
    from ocsync.engine.status import Status


def table(status: Status, pauses: Mapping[str, Any]) -> Iterator[str]:
    """Yield a row for each target."""
    rows = [("target", "sync config", "server", "workspace", "delivery", "changed", "deleted")]
    for name, target in status.targets.items():
        server = target.server
        if not server.exists:
            rows.append((name, "none", "-", "-", "-", "-", "-"))
            continue
        rows.append(
            (
                name,
                "yes",
                "paused" if server.paused else "running",
                "paused" if name in pauses else "-",
                server.delivery,
                "sent" if server.sends_changes else "off",
                "sent" if server.sends_deletes else "off",
            )
        )
    yield from columns(rows, "<<<<<<<", heading=True)
