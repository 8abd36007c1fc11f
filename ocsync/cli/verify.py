"""`ocsync verify`."""

from __future__ import annotations

from typing import Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import command, seconds_of
from ocsync.errors import ExitCode

RunName = Annotated[str, typer.Argument(metavar="[RUN]", help="The run; the newest without.")]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "verify", ExitCode.DIFFERS, ExitCode.NO_FILE)
    def verify(
        ctx: Context,
        name: RunName = "",
        settle: Annotated[
            str, typer.Option("--settle", help="How long lagging reads may take to show a write.")
        ] = "30s",
    ) -> ExitCode:
        """Read back what a run wrote, and compare; read-only."""
        from ocsync.engine.verify import Verification
        from ocsync.engine.verify import verify as check
        from ocsync.engine.work import Work, sign_in
        from ocsync.render import run as shown

        seconds = seconds_of(settle)
        with ctx.folder().runs.get(name) as run:

            async def read(work: Work) -> Verification:
                await sign_in(work)
                return await check(work, run, settle=seconds)

            found = ctx.online(read, stream=True)
            info = run.info
        ctx.console.event({"type": "summary", "run": info.id, **shown.verified(found)})
        for sign, line in () if ctx.console.json else shown.verification_lines(info, found):
            ctx.console.data(line, sign)
        return found.exit_code
