"""Scripted faults, and the requests that they affect.

    {"method": "PATCH", "path": "inventoryrecords", "times": 3, "status": 429, "retry_after": 1}
    {"rate": 0.1, "action": "reset", "effect": true}

A rule applies to requests of its *method* (any if empty) whose path contains *path*. It skips the
first *after* of them, affects the next *times* and then ends. Without *times* it affects one; with
a *rate*, from 0 to 1, that share of all. `status` (and `code`) is the response; `effect` lets the
request take effect first. `action` is one of

- `reset`: the connection is reset, without a response;
- `cut`: half of the response's body, then the end of the connection;
- `slow`: the body is sent byte by byte over *seconds*; `hang`: the response waits *seconds*;
- `html`, `bom`: the body is HTML, or begins with a byte order mark;
- `revoke`: all tokens are revoked first; `unpause`: another user unpauses all targets first.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Literal

import msgspec

from ocsync.errors import FileMissing, InputError

Action = Literal["", "reset", "cut", "slow", "hang", "html", "bom", "revoke", "unpause"]


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """One rule, with its own countdown."""

    status: int = 0
    code: str = "ServerError"
    method: str = ""
    path: str = ""
    times: int | None = None
    after: int = 0
    rate: float = 1.0
    effect: bool = False
    retry_after: float | None = None
    action: Action = ""
    seconds: float = 0.0


class FaultInjector:
    """The rules in force, in order; the first that matches a request is used."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []
        self.hits = 0
        self._random = random.Random(0)

    def replace_rules(self, rules: Any) -> None:
        """Replace all rules. Raises msgspec.ValidationError."""
        self.rules = msgspec.convert(rules, list[Fault])
        self._random.seed(0)
        for rule in self.rules:
            if rule.times is None:
                rule.times = 1 if rule.rate >= 1 else 2**62

    def load(self, path: Path) -> None:
        """Read the rules from a JSON file. Raises FileMissing and InputError."""
        try:
            self.replace_rules(msgspec.json.decode(path.read_bytes()))
        except OSError as error:
            raise FileMissing(f"{path}: {error.strerror}") from error
        except msgspec.MsgspecError as error:
            raise InputError(f"{path}: not a list of faults: {error}") from error

    def next_fault(self, method: str, path: str) -> Fault | None:
        """Return the fault for this request, if any, and count it."""
        for rule in self.rules:
            if not rule.times or rule.method not in ("", method) or rule.path not in path:
                continue
            if rule.after:
                rule.after -= 1
                continue
            if rule.rate < 1 and self._random.random() >= rule.rate:
                continue
            rule.times -= 1
            self.hits += 1
            return rule
        return None
