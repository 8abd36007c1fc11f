"""Verification of a run: its values in the marketplace, and its messages at the listener.

Both results are written to the run's folder, where `history` reads them.
"""

from __future__ import annotations

from typing import NamedTuple

from ocsync.engine.run_log import add_up
from ocsync.engine.session import Session
from ocsync.engine.verify.delivery_proof import DeliveryProof, prove_delivery
from ocsync.engine.verify.readback import ReadBack, Verification
from ocsync.errors import ExitCode, first_of
from ocsync.store import Run


class VerificationReport(NamedTuple):
    """The report of a verification; *delivery_proof* is None where there was nothing to prove."""

    verification: Verification
    delivery_proof: DeliveryProof | None

    @property
    def exit_code(self) -> ExitCode:
        """The exit code: DIFFERS when a value or a message is not as written."""
        return first_of(one.exit_code for one in self if one)


async def verify_run(
    session: Session,
    run: Run,
    *,
    settle: float,
    patience: float,
    redeliver: bool,
    by_answers: bool = False,
    reading: ReadBack | None = None,
) -> VerificationReport:
    """Verify *run*, then wait for its delivery, and write both to its record and findings.

    *by_answers* is explained at `ReadBack`; *reading* is one that has begun. Raises Interrupted
    when the operator stops the wait for the delivery.
    """
    reading = reading or ReadBack(session, run, by_answers=by_answers)
    verification = await reading.findings(settle=settle)
    closed = run.read_info().state == "closed"  # the resume of an open run writes its record
    if closed:
        run.update(
            verified=add_up(verification.kinds),
            verified_kinds=verification.kinds,
            by_answer=len(verification.by_answer),
            verification_pending=False,
        )
    if run.read_info().kind != "resume":  # a delete has no message of an update
        return VerificationReport(verification, None)
    proof = await prove_delivery(session, run, patience=patience, redeliver=redeliver)
    if proof:
        run.write_findings([*verification.findings, *proof.findings()])
        if closed:
            run.update(delivery=proof.facts(), arrivals=proof.arrivals)
    return VerificationReport(verification, proof)
