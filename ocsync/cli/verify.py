"""`ocsync verify`."""

from __future__ import annotations

from typing import Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import DeliveryTimeout, Redeliver, command, seconds_of
from ocsync.errors import ExitCode, first_of

RunName = Annotated[str, typer.Argument(metavar="[RUN]", help="The run; without, the last resume.")]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "verify", ExitCode.DIFFERS, ExitCode.NO_FILE)
    def verify(
        ctx: Context,
        name: RunName = "",
        settle: Annotated[
            str,
            typer.Option(
                "--settle", metavar="TIME", help="How long lagging reads may take to show a write."
            ),
        ] = "30s",
        delivery_timeout: DeliveryTimeout = "60s",
        redeliver: Redeliver = False,
    ) -> ExitCode:
        """Read back what a run wrote, and compare.

        Where a listener is set, also wait until it has heard of everything.
        Read-only but for --redeliver.
        """
        from ocsync.engine.delivered import Proof, prove
        from ocsync.engine.verify import Verification
        from ocsync.engine.verify import verify as check
        from ocsync.engine.work import Work, sign_in
        from ocsync.render import run as shown

        seconds = seconds_of(settle)
        with ctx.folder().runs.get(name, "resume") as run:

            async def read(work: Work) -> tuple[Verification, Proof | None]:
                await sign_in(work)
                found = await check(work, run, settle=seconds)
                if run.info.sort != "resume":
                    return found, None
                wait = seconds_of(delivery_timeout)
                return found, await prove(work, run, patience=wait, redeliver=redeliver)

            found, proof = ctx.online(read, stream=True, locked=redeliver)
            info = run.info
        facts = {"delivery": proof.facts() if proof else None, **shown.verified(found)}
        ctx.console.event({"type": "summary", "run": info.id, "folder": str(run.path), **facts})
        if not ctx.console.json:
            for sign, line in (
                *shown.verification_lines(info, found),
                *(shown.delivered(proof) if proof else ()),
            ):
                ctx.console.data(line, sign)
        return first_of([found.exit_code, proof.exit_code if proof else ExitCode.DONE])
