"""`ocsync help`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import command
from ocsync.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "help", exits=(ExitCode.DONE, ExitCode.USAGE))
    def help_(
        ctx: Context,
        words: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="[COMMAND|TOPIC]",
                help="A command such as stage import, or a topic such as exit-codes.",
            ),
        ] = None,
    ) -> None:
        """Show help for a command or a topic.

        Without an argument it lists the topics. It needs no workspace and no
        network.

        Examples:
          ocsync help stage import
          ocsync help exit-codes
        """
        name = " ".join(words or ())
        topics = _topics()
        if not name:
            _list(ctx, topics)
            return
        text = _help_of(words or ()) or ""
        page = topics[name].read_text(encoding="utf-8") if name in topics else ""
        if not text and not page:
            raise _unknown(name, topics)
        both = "\n\n".join(filter(None, [text, page]))
        ctx.console.document("help", {"topic": name, "text": both})
        if ctx.console.json:
            return
        if text:
            ctx.console.print_lines([*text.splitlines(), *[""][: len(page)]])
        if page:
            ctx.console.print_page(page)


def _topics() -> dict[str, Traversable]:
    """Return the pages of the guide by topic, in alphabetical order."""
    from importlib.resources import files

    pages = [page for page in (files("ocsync") / "guide").iterdir() if page.name.endswith(".md")]
    return {page.name.removesuffix(".md"): page for page in sorted(pages, key=lambda p: p.name)}


def _list(ctx: Context, topics: dict[str, Traversable]) -> None:
    from ocsync.render.text import columns

    titles = {
        name: page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        for name, page in topics.items()
    }
    rows = [{"topic": name, "title": title} for name, title in titles.items()]
    ctx.console.document("help", {"topics": rows})
    if not ctx.console.json:
        ctx.console.print_lines(
            ["Topics:", *columns([("", *row) for row in titles.items()], "<<<")]
        )
        ctx.console.print_lines(["", "ocsync help TOPIC    shows a topic"])
        ctx.console.print_lines(["ocsync help COMMAND  shows a command's options and exit codes"])
        ctx.console.print_lines(["ocsync --help        lists the commands"])


def _help_of(words: Sequence[str]) -> str | None:
    """Return what `--help` prints for the command named by *words*; None if there is none."""
    from ocsync.cli.app import tree

    named = tree()
    context = named.context_class(named, info_name="ocsync", **named.context_settings)
    for word in words:
        named = getattr(named, "commands", {}).get(word)
        if named is None:
            return None
        context = named.context_class(
            named, info_name=word, parent=context, **named.context_settings
        )
    return str(named.get_help(context))


def _unknown(name: str, topics: dict[str, Traversable]) -> UsageError:
    """Return the error for a *name* that is neither a command nor a topic, with close matches."""
    from ocsync.cli.app import tree
    from ocsync.suggestions import closest

    close = closest(name, [*topics, *_names(tree())])
    hint = ", ".join(f"ocsync help {match}" for match in close) or "ocsync help, ocsync --help"
    return UsageError(f'no command or topic "{name}"', hint=hint)


def _names(group: Any, above: str = "") -> Iterator[str]:
    """Yield the names of the commands below *group*, as they are typed."""
    for word, one in getattr(group, "commands", {}).items():
        yield f"{above}{word}"
        yield from _names(one, f"{above}{word} ")
