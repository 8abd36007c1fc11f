"""`ocsync schema`."""

from __future__ import annotations

from typing import Annotated

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import command
from ocsync.errors import ExitCode, UsageError


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "schema", exits=(ExitCode.DONE, ExitCode.USAGE))
    def schema(
        ctx: Context,
        words: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="[SCHEMA]", help="A command such as plan, an event, entry, run, error..."
            ),
        ] = None,
    ) -> None:
        """Print the JSON Schema of what --json prints, or of a file's records.

        Without an argument it lists the schemas. With --json it prints one document with
        the schemas by name. See ocsync help json.

        Examples:
          ocsync schema
          ocsync schema stage list > stage-list.schema.json
          ocsync schema resume-summary
        """
        import json

        from ocsync.render.json_schemas import schema_names, schema_of, summary_of

        name = "-".join(words or ())
        names = schema_names()
        if name and name not in names:
            from ocsync.suggestions import suggestion

            hint = suggestion(name, names, "ocsync schema")
            raise UsageError(f'no schema "{name}"', hint=hint)
        schemas = {one: schema_of(one) for one in ([name] if name else names)}
        ctx.console.document("schema", {"schemas": schemas})
        if ctx.console.json:
            return
        if name:
            ctx.console.print_lines(json.dumps(schemas[name], indent=2).splitlines())
            return
        from ocsync.render.text import columns

        rows = [(one, summary_of(body)) for one, body in schemas.items()]
        ctx.console.print_lines(columns(rows, "<<"))
