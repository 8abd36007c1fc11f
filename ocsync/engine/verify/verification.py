"""A run examined: read back from the marketplace, and held against what the listener heard.

Both leave what they saw in the run's folder, where `history` finds it.
"""

from __future__ import annotations

from typing import NamedTuple

from ocsync.engine.run_log import add_up
from ocsync.engine.session import Session
from ocsync.engine.verify.delivery_proof import DeliveryProof, prove_delivery
from ocsync.engine.verify.readback import Verification, read_back
from ocsync.errors import ExitCode, first_of
from ocsync.store import Run


class VerificationReport(NamedTuple):
    """The values read back, and the messages that arrived; *delivery_proof* is None without a
    listener.
    """

    verification: Verification
    delivery_proof: DeliveryProof | None

    @property
    def exit_code(self) -> ExitCode:
        """DIFFERS when something is not as written, in the marketplace or at the target."""
        return first_of(one.exit_code for one in self if one)


async def verify_run(
    session: Session, run: Run, *, settle: float, patience: float, redeliver: bool
) -> VerificationReport:
    """Verify *run*, then wait for its delivery, and keep both in its record and findings.

    Raises Interrupted when the operator does not want to wait for the delivery any longer.
    """
    found = await read_back(session, run, settle=settle)
    over = run.read_info().state == "closed"  # the record of one that goes on is its resume's
    if over:
        run.update(
            verified=add_up(found.kinds), verified_kinds=found.kinds, verification_pending=False
        )
    if run.read_info().kind != "resume":  # a delete has no message of an update
        return VerificationReport(found, None)
    proof = await prove_delivery(session, run, patience=patience, redeliver=redeliver)
    if proof:
        run.write_findings([*found.findings, *proof.findings()])
        if over:
            run.update(delivery=proof.facts())
    return VerificationReport(found, proof)
