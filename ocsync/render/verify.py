"""A verification: its counts and findings, and the messages that arrived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ocsync.models import Sign
from ocsync.render import delivery_proof
from ocsync.render.findings import answered_text, difference_counts, finding_lines, sign_counts
from ocsync.render.json_data import json_data, signs_by_word
from ocsync.render.text import Line, columns, count
from ocsync.store import RunInfo

if TYPE_CHECKING:
    from ocsync.engine.verify.delivery_proof import DeliveryProof
    from ocsync.engine.verify.readback import Verification


def lines(info: RunInfo, verification: Verification, proof: DeliveryProof | None) -> Iterator[Line]:
    """Yield the report of a verification and, if a listener is attached, of the delivery."""
    if not verification.kinds:
        what = "wrote nothing so far" if info.state == "open" else "changed nothing"
        yield "=", f"run {info.id} {what}, so there is nothing to verify"
        return
    rows: list[Sequence[object]] = [("kind", "verified")]
    rows += [(kind, sign_counts(counts)) for kind, counts in verification.kinds.items()]
    for line in columns(rows, "<<", gap=3, indent=2, heading=True):
        yield "", line
    yield from proof_lines(verification)
    yield from finding_lines(verification.findings)
    yield from delivery_proof.lines(proof, info.id)
    undelivered = len(proof.undelivered) if proof else 0
    text = _verdict_text(info, verification)
    if undelivered:
        text += f"; {count(undelivered, 'message is', 'messages are')} missing or outdated"
    good = not (verification.exit_code or undelivered or info.state == "open")
    yield "✓" if good else "✗", f"run {info.id} {text}"


def _verdict_text(info: RunInfo, verification: Verification) -> str:
    """Return how many of the refs that a run wrote match, as in `verified: all 3 refs match`."""
    counts = sum(map(Counter, verification.kinds.values()), Counter[str]())
    total, same = counts.total(), counts[Sign.SAME.value]
    if same == total:
        refs = "its only ref matches" if total == 1 else f"all {total:,} refs match"
    else:
        matching = f"{same:,} of {count(total, 'ref')} {'matches' if same == 1 else 'match'}"
        refs = ", ".join([matching, *difference_counts(counts)])
    return f"is not finished: so far {refs}" if info.state == "open" else f"verified: {refs}"


def proof_lines(verification: Verification) -> Iterator[Line]:
    """Yield how many refs were read back, and how many the answers to their writes prove."""
    if not verification.by_answer:
        return
    text = f"{answered_text(len(verification.by_answer))}, {verification.read:,} read back"
    sample = f", {verification.sample:,} of them as a sample" if verification.sample else ""
    yield Sign.SAME.value, text + sample


def document(verification: Verification) -> dict[str, Any]:
    """Return a verification as JSON data."""
    return {
        "kinds": {kind: signs_by_word(n) for kind, n in verification.kinds.items()},
        "findings": json_data(verification.findings),
        "read": verification.read,
        "by_answer": verification.by_answer,
        "sample": verification.sample,
        "exit_code": int(verification.exit_code),
    }
