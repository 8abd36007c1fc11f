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
        yield of_error(error, "this workspace's listeners are unknown")._replace(
            fix=f"repair {path}; or move it away, then: {_DETACH} TARGET --endpoint URL"
        )
        return
    for key, facts in attached.items():
        yield _listener(setup, key.partition("/")[0], facts)
    if not attached:
        yield passed("this workspace has attached no listener")


def _listener(setup: Setup, config: str, facts: dict[str, Any]) -> CheckResult:
    address, age = (
        destination_of(facts["shown"]),
        setup.now - datetime.fromisoformat(facts["since"]),
    )
    if facts.get("phase") != "attached" and not setup.busy:
        return problem(
            f"{config}: {facts.get('phase')} {address} was started but not confirmed",
            "a command died; it is unknown whether OrderCloud delivers there",
            _DETACH,
        )
    if age > FORGOTTEN:
        return warning(
            f"{config} also delivers to this workspace's listener, for {age.days} d ({address})",
            "OrderCloud keeps sending there, even if no listener runs",
            _DETACH,
        )
    return passed(f"{config} also delivers to this workspace's listener ({address})")
