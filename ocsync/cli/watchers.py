"""`--notify` and `--metrics`: what a command tells those who watch it, once it has ended.

Both come after the work and cannot fail it: what goes wrong with them is a warning.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from ocsync.errors import ConfigError, ExitCode, OcsyncError, UsageError
from ocsync.suggestions import set_variable

if TYPE_CHECKING:
    from ocsync.cli.context import Context

VARIABLE = "OCSYNC_NOTIFY"
OVERDUE_TEXTS = {
    "lease": "longer than planned",
    "window": "by a window that died",
    "age": "longer than --max-age",
}
"""The reasons why a pause is overdue, as messages state them."""
_READABLE = 0o644
"""The mode of the file of metrics: the exporter that reads it is another user."""
_PANEL = "Watching"
Notify = Annotated[
    bool,
    typer.Option(
        "--notify",
        rich_help_panel=_PANEL,
        help=f"Post a message to the webhook in {VARIABLE} or the profile (ocsync help watching).",
    ),
]
Metrics = Annotated[
    Path | None,
    typer.Option(
        "--metrics",
        metavar="FILE",
        rich_help_panel=_PANEL,
        help="Write gauges for Prometheus to FILE, at the end.",
    ),
]


class Ending(NamedTuple):
    """The end of a command's work; *text* says what is worth a message, empty for nothing.

    *targets* are those that are or were paused, *run* is the run.
    """

    exit_code: ExitCode
    text: str = ""
    targets: tuple[str, ...] = ()
    run: str = ""


def run_watched(
    ctx: Context, work: Callable[[], Ending], *, notify: bool, metrics: Path | None
) -> ExitCode:
    """Do *work*, tell those who watch how it ended, and return its exit code.

    An error of the work is told and raised. Raises ConfigError, before the work, for *notify*
    without a webhook, and UsageError for *metrics* that name no file.
    """
    if metrics in (Path("-"), Path()):
        raise UsageError(f"--metrics writes a file, and {metrics} is none", hint="--metrics FILE")
    url = _webhook(ctx) if notify else ""
    try:
        ending = work()
    except Exception as error:
        _tell(ctx, _failure(error), url, metrics, type(error).__name__)
        raise
    _tell(ctx, ending, url, metrics, None)
    return ending.exit_code


def _failure(error: Exception) -> Ending:
    if isinstance(error, OcsyncError):
        hint = f"; next: {error.hint}" if error.hint.startswith("ocsync ") else ""
        return Ending(error.exit_code, f"failed: {error.message}{hint}")
    return Ending(ExitCode.FAILED, f"failed: unexpected {type(error).__name__}")


def _webhook(ctx: Context) -> str:
    """Return the address of the webhook, which is a secret itself. Raises ConfigError."""
    from ocsync.client.webhook import check_url
    from ocsync.secrets import SecretSource, resolve

    name = VARIABLE
    if not os.environ.get(VARIABLE):
        folder = ctx.folder()
        ctx.workspace.check_trust(folder.path, folder.profile)
        name = folder.profile.notify_env
    if not name:
        text = "--notify needs the URL of a webhook"
        raise ConfigError(
            text, hint=f"{set_variable(VARIABLE, 'URL')}, or ocsync profile edit --notify-env VAR"
        )
    url = resolve(SecretSource(env=name), "the URL of a webhook")
    return check_url(url, f"environment variable {name}")


def _tell(ctx: Context, ending: Ending, url: str, metrics: Path | None, error: str | None) -> None:
    try:
        if url and ending.text:
            _post(ctx, ending, url, error)
        if metrics:
            _write_metrics(ctx, metrics, ending.exit_code)
    except OSError as problem:
        ctx.warn(f"the metrics were not written: {metrics}: {problem.strerror}")
    except OcsyncError as problem:
        ctx.warn(f"the notification or the metrics failed: {problem}")


def _post(ctx: Context, ending: Ending, url: str, error: str | None) -> None:
    from ocsync.client.webhook import body_for, send
    from ocsync.store.identity import ci_job_url

    pin = _pin(ctx)
    profile = ctx.profile_name or ctx.workspace.current_profile
    place = f"{profile} · {pin}" if pin else profile
    exit_note = f" (exit {int(ending.exit_code)})" if ending.exit_code else ""
    text = f"ocsync {ctx.command} · {place}: {ending.text}{exit_note}"
    facts: dict[str, Any] = {
        "format": 1,
        "command": ctx.command,
        "profile": profile,
        "marketplace": pin,
        "exit_code": int(ending.exit_code),
        "error": error,
        "run": ending.run,
        "targets": list(ending.targets),
        "job": ci_job_url(os.environ),
    }
    if reason := send(url, body_for(url, text, facts)):
        ctx.warn(f"the message was not sent: {reason}")


def _pin(ctx: Context) -> str:
    """Return the name of the marketplace, empty if it is not known."""
    try:
        pin = ctx.folder().read_pin()
    except OcsyncError:
        return ""
    return (pin.name or pin.id) if pin else ""


def _write_metrics(ctx: Context, path: Path, exit_code: ExitCode) -> None:
    from datetime import UTC, datetime

    from ocsync.render.metrics import LocalState, metrics_text
    from ocsync.store.files import real_path, write_atomically
    from ocsync.store.summary import (
        overdue_pauses,
        read_last_run,
        summarize_journal,
        unfinished_runs,
    )

    folder, now = ctx.folder(), datetime.now(UTC)
    pauses = {n: p for n, p in folder.read_raw_pauses().items() if not p.get("lost")}
    state = LocalState(
        folder.path.name, ctx.command, int(exit_code), now,
        summarize_journal(folder.path / "journal", ctx.warn_once), pauses,
        overdue_pauses(pauses, now, folder.window_locks.is_open),
        len(unfinished_runs(folder.path, ctx.warn_once)), read_last_run(folder.path / "runs"),
    )  # fmt: skip
    write_atomically(real_path(path), metrics_text(state).encode(), mode=_READABLE)
