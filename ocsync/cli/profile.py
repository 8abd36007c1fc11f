"""The `ocsync profile` commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocsync.cli import profile_edit
from ocsync.cli.context import Context
from ocsync.cli.options import LOCAL_EXITS, Yes, command
from ocsync.cli.profile_options import (
    AllowHttp,
    ApiUrl,
    AuthUrl,
    Environment,
    Marketplace,
    Name,
    NewName,
    NotifyEnv,
    OptionalName,
    Production,
    ProfileSecretCommand,
    RequiredClientId,
    SecretEnv,
    SecretKeyring,
    add_profile,
    identity_document,
    new_profile,
    open_profile,
    profile_document,
    read_place,
    read_secret_source,
    store_missing_secret,
)
from ocsync.errors import Conflict, Damaged, ExitCode, UsageError

if TYPE_CHECKING:
    from ocsync.store import ProfileDir

_MAX_WAIT = 10.0
"""The seconds for which a check retries; a mistyped host stays wrong, however often it is tried."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        name="profile",
        help="Add, check and choose profiles: which marketplace, as whom.",
        no_args_is_help=True,
    )
    app.add_typer(group, name="profile")

    @command(group, "add", exits=LOCAL_EXITS)
    def add(
        ctx: Context,
        name: NewName,
        client_id: RequiredClientId,
        environment: Environment = "",
        api_url: ApiUrl = "",
        auth_url: AuthUrl = "",
        secret_env: SecretEnv = "",
        secret_command: ProfileSecretCommand = "",
        secret_keyring: SecretKeyring = False,
        marketplace: Marketplace = "",
        production: Production = False,
        allow_http: AllowHttp = "",
        notify_env: NotifyEnv = "",
    ) -> None:
        r"""Add a profile for a marketplace and an API client.

        The first profile becomes the current one. The secret itself is never stored.

        Examples:
          ocsync profile add acme --environment useast-sandbox \
              --client-id 0A1B --secret-env ACME_SECRET
          ocsync profile add prod --environment useast-production \
              --client-id 2C3D --secret-command 'op read op://ci/acme'
        """
        profile = new_profile(
            name,
            client_id=client_id,
            place=read_place(environment, api_url, auth_url, allow_http),
            secret=read_secret_source(secret_env, secret_command, keyring=secret_keyring),
            marketplace=marketplace,
            production=production,
            notify_env=notify_env,
        )
        add_profile(ctx, profile)
        store_missing_secret(ctx, profile)
        current = ctx.workspace.current_profile == name
        ctx.console.document("profile add", {**profile_document(profile), "current": current})
        ctx.console.print(f"{name}  {profile.api_url}" + ("  (current)" if current else ""), "+")
        ctx.console.suggest("ocsync profile check" if current else f"ocsync profile use {name}")

    profile_edit.register(group)

    @command(group, "list", exits=LOCAL_EXITS)
    def list_(ctx: Context) -> None:
        """List the profiles of this workspace.

        The current profile has a star.

        Examples:
          ocsync profile list
        """
        from ocsync.render.text import columns

        current = ctx.workspace.current_profile
        profiles = [open_profile(ctx, name).profile for name in ctx.workspace.profile_names()]
        rows = [
            ("*" if p.name == current else "", p.name, p.environment or p.api_url) for p in profiles
        ]
        documents = [{**profile_document(p), "current": p.name == current} for p in profiles]
        ctx.console.document("profile list", {"profiles": documents})
        ctx.console.print_lines(columns(rows, "<<<"))
        if not profiles:
            from ocsync.store.workspace import ADD_PROFILE

            ctx.console.info("no profile yet")
            ctx.console.suggest("ocsync login", ADD_PROFILE)

    @command(group, "show", exits=LOCAL_EXITS)
    def show(ctx: Context, name: OptionalName = "") -> None:
        """Show a profile and where its secret comes from, never the secret.

        Examples:
          ocsync profile show
          ocsync profile show acme --json
        """
        from ocsync.render.text import columns

        folder = open_profile(ctx, name)
        pin = folder.read_pin()
        facts = {
            **profile_document(folder.profile),
            "pinned": pin.id if pin else "",
            "pinned_url": pin.api_url if pin else "",
            "folder": str(folder.path),
        }
        ctx.console.document("profile show", facts)
        ctx.console.print_lines(columns([(k, v) for k, v in facts.items() if v], "<<"))

    @command(group, "use", exits=LOCAL_EXITS)
    def use(ctx: Context, name: Name) -> None:
        """Make a profile the current one.

        Commands use the current profile unless --profile names another.

        Examples:
          ocsync profile use acme
        """
        ctx.workspace.use_profile(name)
        ctx.console.document("profile use", {"profile": name})
        ctx.console.print(f"{name} is now the current profile", "=")

    @command(group, "remove", exits=LOCAL_EXITS)
    def remove(
        ctx: Context,
        name: Name,
        forget_pauses: Annotated[
            bool,
            typer.Option(
                "--forget-pauses", help="Remove it although its targets stay paused in OrderCloud."
            ),
        ] = False,
        forget_listeners: Annotated[
            bool,
            typer.Option(
                "--forget-listeners", help="Remove it although its listeners stay attached."
            ),
        ] = False,
        yes: Yes = False,
    ) -> None:
        """Remove a profile with its journal and runs.

        Refused while targets are paused by this profile or a listener of it is attached. If
        they can no longer be unpaused or detached, the --forget options remove the profile
        anyway.

        Examples:
          ocsync profile remove acme
        """
        ctx.yes = yes
        folder = open_profile(ctx, name)
        with folder.run_lock():  # a running resume must not lose its folder
            paused = _names(folder.claims, forget=forget_pauses)
            if paused and not forget_pauses:
                raise Conflict(
                    f"profile {name} has paused {', '.join(paused)}",
                    hint=f"ocsync unpause {' '.join(paused)} --profile {name}; if that is no "
                    f"longer possible: ocsync profile remove {name} --forget-pauses",
                )
            attached = _names(folder.read_raw_attachments, forget=forget_listeners)
            if attached and not forget_listeners:
                raise Conflict(
                    f"profile {name} has attached a listener: {', '.join(attached)}",
                    hint=f"ocsync delivery detach --profile {name}; if that is no longer "
                    f"possible: ocsync profile remove {name} --forget-listeners",
                )
            for target in paused:
                ctx.warn_once(f"{target} stays paused on the server; no workspace will unpause it")
            for listener in attached:
                ctx.warn_once(f"{listener} stays attached; OrderCloud keeps delivering to it")
            what = _staged(folder) + _unfinished(folder)
            if not ctx.ask(f"Remove profile {name}{what} and its runs?"):
                raise UsageError("nothing was removed")
        ctx.workspace.remove_profile(name)
        ctx.console.document("profile remove", {"profile": name})
        ctx.console.print(f"{name} removed", "-")

    @command(group, "check")
    def check(ctx: Context, name: OptionalName = "") -> ExitCode:
        """Sign in and show the user, the marketplace and missing roles.

        Examples:
          ocsync profile check
          ocsync profile check acme --json
        """
        from ocsync.client import Limits
        from ocsync.engine.session import missing_roles, sign_in
        from ocsync.render.text import columns

        ctx.profile_name = name or ctx.profile_name
        identity = ctx.run_online(sign_in, limits=Limits(max_wait=_MAX_WAIT))
        missing = missing_roles(identity)
        facts = identity_document(ctx.folder().profile.name, identity, missing)
        ctx.console.document("profile check", facts)
        shown = {
            **facts,
            "roles": ", ".join(identity.roles),
            "missing": ", ".join(missing) or "none",
        }
        shown["missing roles"] = shown.pop("missing")
        ctx.console.print_lines(columns(list(shown.items()), "<<"))
        return ExitCode.SIGN_IN if missing else ExitCode.DONE

    @command(group, "trust", exits=LOCAL_EXITS)
    def trust(ctx: Context, name: OptionalName = "", yes: Yes = False) -> None:
        """Trust a profile that came with a folder.

        After that its secret command may run, and its host may receive the secret.

        Examples:
          ocsync profile trust acme
        """
        ctx.yes = yes
        folder = open_profile(ctx, name)
        reason = ctx.workspace.untrusted_reason(folder.path, folder.profile)
        ctx.console.info(f"{folder.path / 'profile.toml'}: {reason or 'needs no trust'}")
        if reason and not ctx.ask(f"Trust profile {folder.profile.name} with these settings?"):
            raise UsageError("the profile was not trusted")
        ctx.workspace.trust(folder.path)
        ctx.console.document("profile trust", {"profile": folder.profile.name, "why": reason})
        ctx.console.print(f"{folder.profile.name} is now trusted, with its current settings", "✓")


def _names(read: Callable[[], Mapping[str, Any]], *, forget: bool) -> list[str]:
    """Return the names in a file of the profile; none if it is to be forgotten and is damaged."""
    try:
        return list(read())
    except Damaged:
        if forget:
            return []
        raise


def _unfinished(folder: ProfileDir) -> str:
    """Return, in words, which runs are not finished and would be lost."""
    from ocsync.store.summary import unfinished_runs

    try:
        names = [run.id for run in unfinished_runs(folder.path, lambda _: None)]
    except Damaged:
        return ""
    return f", unfinished run {', '.join(names)}" if names else ""


def _staged(folder: ProfileDir) -> str:
    """Return, in words, what is staged and would be lost."""
    from ocsync.render.text import count
    from ocsync.store.summary import summarize_journal

    try:
        number = summarize_journal(folder.path / "journal", lambda _: None).entries
    except Damaged:
        return " with a damaged journal"
    return f" with {count(number, 'staged entry')}" if number else ""
