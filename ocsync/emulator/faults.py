"""Scripted faults: what goes wrong, with which requests, how often.

    {"method": "PATCH", "path": "inventoryrecords", "times": 3, "status": 429, "retry_after": 1}

*path* is part of the path; *after* skips that many matching requests first. `status` answers with
it; `effect` true lets the write take effect before. `action` "cut" breaks the connection off in the
middle of the answer, "hang" waits *seconds*; "html" and "bom" answer with such a body.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Fault(msgspec.Struct):
    """One rule; it counts itself down."""

    status: int = 0
    method: str = ""
    path: str = ""
    times: int = 1
    after: int = 0
    effect: bool = False
    retry_after: float | None = None
    action: str = ""
    seconds: float = 0.0


class Faults:
    """The rules in force, in order; the first that matches is used."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []
        self.struck = 0

    def set(self, rules: Any) -> None:
        """Replace all rules. Raises msgspec.ValidationError."""
        self.rules = msgspec.convert(rules, list[Fault])

    def strike(self, method: str, path: str) -> Fault | None:
        """The fault for this request, counted."""
        for rule in self.rules:
            if rule.times <= 0 or rule.method not in ("", method) or rule.path not in path:
                continue
            if rule.after:
                rule.after -= 1
                continue
            rule.times -= 1
            self.struck += 1
            return rule
        return None
