"""`ocsync completion`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import check_choice, command
from ocsync.errors import ExitCode


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "completion", exits=(ExitCode.DONE, ExitCode.USAGE))
    def completion(
        ctx: Context,
        shell: Annotated[
            str,
            typer.Argument(metavar="SHELL", help="One of bash, zsh, fish and powershell."),
        ],
    ) -> None:
        """Print a script that completes ocsync's commands in a shell.

        It completes commands, options, targets, kinds, refs, fields, profiles and runs from
        local data and asks no server. The text is the same on every machine, so it can be
        packaged. See ocsync help shell-completion.

        Examples:
          ocsync completion bash > ~/.local/share/bash-completion/completions/ocsync
          ocsync completion zsh > ~/.zfunc/_ocsync
          ocsync completion fish > ~/.config/fish/completions/ocsync.fish
        """
        from ocsync.cli.completion_scripts import SCRIPTS
        from ocsync.render.streams import write_text

        check_choice("SHELL", shell, SCRIPTS)
        ctx.console.document("completion", {"shell": shell, "script": SCRIPTS[shell]})
        if not ctx.console.json:
            write_text(sys.stdout, SCRIPTS[shell])
