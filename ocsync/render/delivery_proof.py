"""The messages that arrived at the listener, in numbers and times, and those that are missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ocsync.render.findings import finding_lines
from ocsync.render.text import Line, count, duration

if TYPE_CHECKING:
    from ocsync.engine.verify.delivery_proof import DeliveryProof

_IMMEDIATE_SECONDS = 0.1
"""The time, in seconds, below which delivery times are not told apart."""


def lines(proof: DeliveryProof | None, run: str) -> Iterator[Line]:
    """Yield the report of the delivery for *run*."""
    if proof is None:
        return
    if proof.delivered.matched:
        yield from count_lines(proof.facts(), from_write=not proof.was_held)
    if proof.expected.runs:
        yield "", f"    includes the changes of {_runs_text(proof.expected.runs)} in the same pause"
    if proof.undelivered and not proof.listens:
        yield "!", "  the listener is not running: it misses new messages, and nothing is resent"
    for target in proof.silent_targets:
        yield "!", f"  the listener never received a message for {target}: is it attached there?"
    yield from finding_lines(proof.findings())
    for kind, number in proof.expected.silent.items():
        yield "=", f"  {count(number, kind)} written: OrderCloud sends no message for this kind"
        yield "", f"    (ocsync resync --run {run} sends the products that contain it)"
    for target in proof.expected.off:
        yield "=", f"  {target} sends no changes: its sync config excludes them"
    for target in proof.expected.held:
        yield "‖", f"  {target} is paused: its changes are not delivered yet"


def count_lines(facts: Mapping[str, float], *, from_write: bool = False) -> Iterator[Line]:
    """Yield the counts of a proof, which a run's record has too."""
    arrived, not_due = int(facts.get("arrived", 0)), int(facts.get("not_due", 0))
    due = arrived + int(facts.get("missing", 0)) + int(facts.get("stale", 0))
    parts = [f"the listener received {arrived:,} of {due:,}"]
    if duplicates := int(facts.get("duplicates", 0)):
        parts.append(count(duplicates, "duplicate"))
    if again := int(facts.get("redelivered", 0)):
        parts.append(f"{again:,} resent")
    yield "✓" if arrived == due else "!", "  delivered  " + ", ".join(parts)
    if "last" in facts:
        yield "", f"    after the {'write' if from_write else 'unpause'}: {_times_text(facts)}"
    if early := int(facts.get("early", 0)):
        yield "!", f"  {early:,} arrived before the unpause: the pause did not hold them"
    if not_due:
        yield "=", f"  {count(not_due, 'more write')} changed nothing, so no message is expected"


def _runs_text(runs: Sequence[str]) -> str:
    return f"{'run' if len(runs) == 1 else 'runs'} {', '.join(runs)}"


def _times_text(facts: Mapping[str, float]) -> str:
    if facts["last"] < _IMMEDIATE_SECONDS:
        return f"all within {duration(_IMMEDIATE_SECONDS)}"
    half, most, last = (duration(facts[name]) for name in ("p50", "p95", "last"))
    return f"half in {half}, 95 % in {most}, the last in {last}"


def next_commands(run: str, proof: DeliveryProof | None) -> list[str]:
    """Return the commands to type after *run* was verified."""
    if proof and proof.undelivered and not proof.redelivered:
        return [f"ocsync verify {run} --redeliver"]
    if proof and proof.expected.held:
        return [f"ocsync resume, then ocsync verify {run}"]
    return [f"ocsync history {run}"]


def document(proof: DeliveryProof | None) -> dict[str, Any] | None:
    """Return the proof as JSON data: its counts, and every ref that is missing or stale."""
    if proof is None:
        return None
    from ocsync.render.json_data import delivery_counts, json_data

    more = {
        "held": list(proof.expected.held),
        "off": list(proof.expected.off),
        "silent": dict(proof.expected.silent),
        "runs": list(proof.expected.runs),
        "refused": dict(proof.refused),
        "listens": proof.listens,
    }
    facts = delivery_counts(proof.facts())
    return {**facts, "findings": json_data(proof.findings()), **more}
