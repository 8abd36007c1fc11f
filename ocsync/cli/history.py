"""`ocsync history`."""

from __future__ import annotations

from typing import Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import LOCAL, command
from ocsync.errors import ExitCode


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "history", ExitCode.NO_FILE, exits=LOCAL)
    def history(
        ctx: Context,
        name: Annotated[str, typer.Argument(metavar="[RUN]", help="One run.")] = "",
    ) -> None:
        """List the runs, or show one."""
        import msgspec

        from ocsync.engine.work import utc_now
        from ocsync.models import Outcome
        from ocsync.render import delivered
        from ocsync.render import run as shown
        from ocsync.render.lines import findings
        from ocsync.render.status import ending
        from ocsync.render.text import count, duration

        runs = ctx.folder().runs
        if not name:
            infos = runs.list()
            ctx.console.document("history", {"runs": msgspec.to_builtins(infos)})
            if not ctx.console.json:
                ctx.console.lines(shown.history(infos, utc_now()) if infos else ["no run yet"])
            return
        with runs.get(name) as run:
            info = run.info
            left = [o for o in run.outcomes() if isinstance(o, Outcome) and not o.state.settled]
            found = list(run.findings())
        ctx.console.document(
            "history",
            {
                "run": msgspec.to_builtins(info),
                "problems": msgspec.to_builtins(left),
                "findings": msgspec.to_builtins(found),
                "folder": str(run.path),
            },
        )
        if ctx.console.json:
            return
        edits = f"{count(info.entries, 'edit')}, " if info.sort == "resume" else ""
        steps = f"{edits}{count(info.steps, 'step')}, {duration(info.seconds)}"
        ctx.console.data(f"run {info.id} · {info.user} · {steps}")
        if info.sort != "resume":
            ctx.console.data(f"  {info.command}")
        arrived = delivered.numbers(info.delivery) if info.delivery else ()
        for sign, line in (*shown.table(info), *arrived, *findings(found)):
            ctx.console.data(line, sign)
        for outcome in left[:10]:
            ctx.console.data(shown.problem(outcome), "!")
        good = info.state == "closed" and info.exit_code == ExitCode.DONE
        ctx.console.data(
            f"{ending(info.state, info.exit_code)}; all of it in {run.path}", "✓" if good else "✗"
        )
