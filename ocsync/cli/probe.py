"""`ocsync probe`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import check_choice, command, parse_duration
from ocsync.errors import ExitCode, UsageError
from ocsync.plurals import count

if TYPE_CHECKING:
    from ocsync.engine.probe.answers import Answer
    from ocsync.engine.probe.probe import ProbeReport
    from ocsync.engine.session import Session


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "probe", ExitCode.PARTLY, answers=("yes", "lock_timeout"))
    def probe(
        ctx: Context,
        names: Annotated[
            list[str] | None,
            typer.Argument(metavar="[QUESTION...]", help="Questions to ask. Default: all."),
        ] = None,
        show: Annotated[
            bool, typer.Option("--show", help="Show the results of earlier probes; send nothing.")
        ] = False,
        clean: Annotated[
            bool,
            typer.Option("--clean", help="Delete the entities of an interrupted probe."),
        ] = False,
        wait: Annotated[
            str,
            typer.Option(
                "--wait", metavar="TIME", help="How long without a message counts as silence."
            ),
        ] = "10s",
        settle: Annotated[
            str, typer.Option("--settle", metavar="TIME", help="How long a read may be outdated.")
        ] = "60s",
        pace: Annotated[
            bool,
            typer.Option(
                "--pace", help="Also measure how many requests and bulk jobs OrderCloud accepts."
            ),
        ] = False,
    ) -> ExitCode:
        """Find out how this marketplace behaves where OrderCloud's documentation is silent.

        For a sandbox or staging, never production. It creates catalogs, products and a few other
        entities whose IDs begin with ocsync-probe, pauses targets for seconds, looks at what
        happens, and deletes everything again. It also compares OrderCloud's own description of
        the API with what ocsync knows of it. Questions about messages need a listener: ocsync
        listen http and ocsync delivery attach catalogs products. The answers are kept in the
        profile.

        Examples:
          ocsync probe
          ocsync probe nested-xp xp-null --yes
          ocsync probe --show
        """
        from ocsync.engine.probe.answers import read_answers
        from ocsync.engine.probe.questions import QUESTIONS

        for name in names or ():
            check_choice("QUESTION", name, QUESTIONS)
            if QUESTIONS[name].paced and not pace:
                raise UsageError(
                    f"{name} loads the marketplace until it refuses requests",
                    hint=f"ocsync probe {name} --pace",
                )
        if clean:
            left = ctx.run_online(_clean, locked=True)
            ctx.console.document("probe", {"deleted": left})
            ctx.console.print(
                f"deleted {count(len(left), 'entity')} of an earlier probe"
                if left
                else "nothing to delete",
                "-" if left else "=",
            )
            return ExitCode.DONE
        if show:
            _show(ctx, read_answers(ctx.folder()), {})
            return ExitCode.DONE
        patience = parse_duration(wait, unit_needed=True)
        longest = parse_duration(settle, unit_needed=True)

        async def work_on(session: Session) -> ProbeReport:
            from ocsync.engine.probe.probe import probe as run_probe

            return await run_probe(
                session, names or (), patience=patience, longest=longest, pace=pace
            )

        report = ctx.run_online(work_on, locked=True)
        _show(ctx, report.answers, report.unanswered)
        return ExitCode.PARTLY if report.unanswered else ExitCode.DONE


async def _clean(session: Session) -> list[str]:
    from ocsync.engine.probe.probe import clean

    return await clean(session)


def _show(ctx: Context, answers: dict[str, Answer], unanswered: dict[str, str]) -> None:
    """Show each question that was asked, with its answer and what was seen, or why it has none."""
    from ocsync.engine.probe.questions import QUESTIONS

    documents: list[dict[str, Any]] = []
    for name, question in QUESTIONS.items():
        answer, reason = answers.get(name), unanswered.get(name, "")
        documents.append(
            {
                "name": name,
                "question": question.text,
                "value": answer.value if answer else None,
                "evidence": answer.evidence if answer else "",
                "details": list(answer.details) if answer else [],
                "effect": question.effect,
                "at": answer.at if answer else "",
                "unanswered": reason or ("" if answer else "not asked yet"),
            }
        )
        if (answer or reason) and not ctx.console.json:
            value = _value_text(answer.value, question.unit) if answer else "no answer"
            ctx.console.print(f"{name:<22}{value}", "=" if answer else "!")
            ctx.console.print(f"  {answer.evidence if answer else reason}")
            for detail in answer.details if answer else ():
                ctx.console.print(f"    {detail}")
            if answer and question.effect:
                ctx.console.print(f"  effect: {question.effect}")
    ctx.console.document("probe", {"answers": documents})
    usual = [name for name, question in QUESTIONS.items() if not question.paced]
    found = sum(name in answers for name in usual)
    ctx.console.info(
        f"{found} of {len(usual)} questions answered", "✓" if found == len(usual) else "!"
    )
    if answers:
        ctx.console.suggest(f"ocsync emulator --like {ctx.folder().path.name}")


def _value_text(value: str | float, unit: str) -> str:
    return value if isinstance(value, str) else f"{value:g} {unit}"
