"""`ocsync emulator`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import LOCAL, command
from ocsync.errors import ConfigError, ExitCode


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "emulator", ExitCode.NO_FILE, ExitCode.BAD_INPUT, exits=LOCAL)
    def emulator(
        ctx: Context,
        port: Annotated[
            int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")
        ] = 8765,
        seed: Annotated[
            Path | None, typer.Option("--seed", metavar="FILE", help="JSON or TOML to begin with.")
        ] = None,
        latency: Annotated[
            float, typer.Option("--latency", metavar="MS", min=0, help="Before each answer.")
        ] = 0.0,
    ) -> None:
        """Run a local OrderCloud, for trying out and for tests.

        It listens on 127.0.0.1 alone; client ID and secret are both "emulator".
        """
        try:
            from ocsync.emulator import Options, serve
        except ImportError as error:
            raise needs_extra() from error

        def ready(url: str) -> None:
            ctx.console.document("emulator", {"url": url})
            ctx.console.data(f"emulator at {url} (Ctrl-C ends it)", "▶")
            ctx.console.next(
                f"ocsync profile add local --api-url {url} --client-id emulator --secret-env VAR"
            )

        serve(Options(port=port, seed=seed, latency=latency / 1000), ready)


def needs_extra() -> ConfigError:
    """What to say when the emulator's libraries are missing."""
    text = "the emulator's libraries are not installed"
    return ConfigError(text, hint="pip install 'ocsync[emulator]'")
