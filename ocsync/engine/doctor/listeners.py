"""Checks of attached listeners: forgotten ones, and changes that were not confirmed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from ocsync.engine.doctor.check import CheckResult, Setup, of_error, passed, problem, warning
from ocsync.errors import Damaged
from ocsync.listener_attachment import destination_of

FORGOTTEN = timedelta(days=1)
"""A listener that has been attached for longer has probably been forgotten."""
_DETACH = "ocsync delivery detach"


def listeners(setup: Setup) -> Iterator[CheckResult]:
    """Check for attached listeners that were not detached."""
    try:
        attached = setup.folder.read_raw_attachments()
    except Damaged as error:
        path = setup.short(setup.folder.path / "attached.toml")
        yield of_error(error, "which listeners are ours is not known")._replace(
            fix=f"mend {path}; or move it away, then: {_DETACH} TARGET --endpoint URL"
        )
        return
    for key, facts in attached.items():
        yield _listener(setup, key.partition("/")[0], facts)
    if not attached:
        yield passed("no listener is attached by this workspace")


def _listener(setup: Setup, config: str, facts: dict[str, Any]) -> CheckResult:
    address, age = (
        destination_of(facts["shown"]),
        setup.now - datetime.fromisoformat(facts["since"]),
    )
    if facts.get("phase") != "attached" and not setup.busy:
        return problem(
            f"{config}: {facts.get('phase')} {address} was begun and not confirmed",
            "a command died there; whether OrderCloud delivers there is not known yet",
            f"{_DETACH}, which settles it",
        )
    if age > FORGOTTEN:
        return warning(
            f"{config} has delivered to our listener too for {age.days} d ({address})",
            "OrderCloud goes on sending there, whether anybody listens or not",
            _DETACH,
        )
    return passed(f"{config} delivers to our listener too ({address})")
