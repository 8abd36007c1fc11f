"""Nouns that cross layers: Entry -> Change -> Step -> Outcome -> Finding.

All are frozen. A *ref* is text, `kind/ID[/ID...]`, its kind and IDs in the table's order; IDs
hold no slash. *Fields* are flat documents (see `field_paths`): path -> JSON value.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

Ref = str
Fields = dict[str, Any]


class Op(StrEnum):
    """Operation on a ref. Deletes and sync requests are steps, but are never staged."""

    SET = "set"
    PUT = "put"
    ADJUST = "adjust"
    ASSIGN = "assign"
    GENERATE = "generate"
    DELETE = "delete"
    SYNC = "sync"


CREATING_OPS = (Op.PUT, Op.ASSIGN, Op.GENERATE)
"""Operations that create a ref, whatever was there."""


REVERT_SOURCE = "rollback "
"""Beginning of the source of an edit that undoes a run; the run's ID follows."""


class Entry(
    msgspec.Struct,
    frozen=True,
    gc=False,  # what it refers to never refers to it
    omit_defaults=True,
    kw_only=True,
    tag_field="type",
    tag="entry",
):
    """One staged edit, one line of the journal.

    *seq* orders the journal and never repeats in a profile; 0 until the journal gives one. *at* is
    UTC, ISO 8601. *source* is `FILE:LINE` for imports, `rollback RUN` for an edit that undoes a
    run. *expect* holds the values that the operator expects on the server just before this entry.
    *replace* lets a put meet an existing entity.
    """

    op: Op
    ref: Ref
    fields: Fields = {}
    expect: Fields = {}
    replace: bool = False
    seq: int = 0
    at: str = ""
    by: str = ""
    source: str = ""


class ContradictedExpectation(msgspec.Struct, frozen=True):
    """Expectation that the staged entries themselves contradict, found without the server.

    *staged* is the value that earlier entries leave in *field* just before entry *seq*.
    """

    seq: int
    field: str
    expected: Any
    staged: Any


class Change(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Net effect of the entries of one ref, in one request.

    *op* is set, put, assign or generate; delete in a run of deletes. *fields* are absolute values;
    `xp.a.b` paths stay until `xp.a` has been read. *adjust* are sums to add to the server's values.
    *expect* must hold before the request; at the paths *null_is_empty* null meets an expected 0 or
    false, as an earlier entry makes that of it. *entries* are the numbers of the folded entries, in
    order; those that it *follows* are of other refs, and are sent before it.
    """

    op: Op
    ref: Ref
    fields: Fields = {}
    adjust: Fields = {}
    expect: Fields = {}
    null_is_empty: tuple[str, ...] = ()
    replace: bool = False
    entries: tuple[int, ...] = ()
    follows: tuple[int, ...] = ()
    contradicted: tuple[ContradictedExpectation, ...] = msgspec.field(default=(), name="broken")


class Step(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One planned request. *number* counts from 1 in plan order; *wave* from 1.

    *needs* are the numbers of the steps whose failure blocks this one; order alone is the wave.
    Those that it *follows* block it unless the platform refused them: sent before them, it would
    make them impossible.
    """

    number: int
    wave: int
    change: Change
    method: str
    path: str
    needs: tuple[int, ...] = ()
    follows: tuple[int, ...] = ()

    @property
    def ref(self) -> Ref:
        """Ref that this step writes."""
        return self.change.ref


class State(StrEnum):
    """End state of a step."""

    DONE = "done"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    CONFLICT = "conflict"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"

    @property
    def succeeded(self) -> bool:
        """True when the marketplace now has the staged values."""
        return self in (State.DONE, State.UNCHANGED)


class Intent(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="intent"):
    """Record written before a request: step *number* is about to send *sent*, over *before*.

    Both are flat and cover the same paths; MISSING values are left out of *before*. *emptied* maps
    the paths that a put leaves out to the values there. *absent* says that the entity did not
    exist. *updated* is the server's stamp of the entity's stock; None where its kind has none.
    *unread* says that nothing of this was read before the request.
    """

    number: int
    ref: Ref
    sent: Fields = {}
    before: Fields = {}
    emptied: Fields = {}
    absent: bool = False
    updated: str | None = None
    unread: bool = False
    at: str = ""


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="outcome"):
    """End of a step.

    *status*, *code*, *message* and *log_id* are the platform's, where it answered. *blocked_by* is
    the ref whose failure blocked it. *sent* holds the values that were written (or found, when
    unchanged); *answered* says that the write's own answer showed them, or stock sold since;
    *exact* that it showed just these values. *values* has the three values of an unknown outcome
    per field: before, sent, found. *cascaded* counts what a delete removed with it: kind -> how
    many, and how many of them the run has the documents of.
    """

    number: int
    ref: Ref
    state: State
    status: int = 0
    code: str = ""
    message: str = ""
    blocked_by: Ref = msgspec.field(default="", name="because")
    sent: Fields = {}
    answered: bool = False
    exact: bool = False
    values: dict[str, dict[str, Any]] = {}
    cascaded: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict, name="along")
    log_id: str = ""
    at: str = ""


class PaceSample(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Pace of a run within *seconds* from *at* on (UTC, ISO 8601).

    *phase* is `read`, `send` or `verify`; *wave* is 0 outside of `send`. *sent* requests started,
    every attempt counted; *ended* steps came to an end, *failed* of them without success.
    *throttled* counts the answers that asked for a lower rate (429, 503). *in_flight* is the
    largest number of requests in flight, *window* the number that the pace allows, 0 if unknown.
    *wait* is the longest pause in sending that was announced within it, in seconds, and *reason*
    its cause.
    """

    at: str
    seconds: float
    phase: str = ""
    wave: int = 0
    sent: int = 0
    ended: int = 0
    failed: int = 0
    throttled: int = 0
    in_flight: int = 0
    window: int = 0
    wait: float = 0.0
    reason: str = ""


class Sign(StrEnum):
    """Sign of a finding."""

    SAME = "="
    MOVED = "~"
    DIFFERS = "*"
    MISSING = "-"
    UNREAD = "!"

    @property
    def word(self) -> str:
        """Its name, as JSON output has it."""
        return self.name.lower()

    @property
    def severity(self) -> int:
        """The place of the sign where the worst comes first."""
        return _WORST_FIRST.index(self)

    @property
    def is_harmless(self) -> bool:
        """True when the marketplace has what was written, or had it until it was sold."""
        return self in (Sign.SAME, Sign.MOVED)


_WORST_FIRST = (Sign.DIFFERS, Sign.MISSING, Sign.UNREAD, Sign.MOVED, Sign.SAME)


class Finding(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Finding of verification about one ref: its worst sign, and each field that differs.

    *fields* maps path -> {"wanted": value, "found": value}. *where* says where it was looked for:
    in the marketplace, or at the `delivery` target.
    """

    ref: Ref
    sign: Sign
    fields: dict[str, dict[str, Any]] = {}
    message: str = ""
    where: str = msgspec.field(default="", name="place")


class Tombstone(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Ref that *run* deleted and that this workspace has not created again since.

    *confirmed* is false from before the request until the run is closed. *at* is UTC, ISO 8601.
    """

    ref: Ref
    run: str
    at: str = ""
    confirmed: bool = msgspec.field(default=False, name="sure")


class TargetState(msgspec.Struct, frozen=True, kw_only=True):
    """Sync configuration as the server has it now; *exists* is false when there is none.

    *sends_changes* and *sends_deletes* are its two switches for messages.
    """

    name: str
    exists: bool
    paused: bool = False
    delivery: str = ""
    sends_changes: bool = True
    sends_deletes: bool = True
    config: dict[str, Any] = {}


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Message that arrived at a delivery target; *at* is UTC, ISO 8601.

    *origin* names the position in a Kafka topic that it was read from; empty for one over HTTP.
    """

    at: str
    namespace: str
    payload: dict[str, Any]
    origin: str = ""
