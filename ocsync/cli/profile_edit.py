"""`ocsync profile edit` and `ocsync profile rename`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import LOCAL_EXITS, command
from ocsync.cli.profile_options import (
    AllowHttp,
    ApiUrl,
    AuthUrl,
    ClientId,
    Environment,
    Marketplace,
    MaybeProduction,
    Name,
    NotifyEnv,
    OptionalName,
    ProfileSecretCommand,
    SecretEnv,
    SecretKeyring,
    open_profile,
    profile_document,
    read_client_id,
    read_place,
    read_secret_source,
    store_missing_secret,
)
from ocsync.cli.secret_options import read_variable
from ocsync.errors import Conflict, ExitCode, Locked, UsageError

if TYPE_CHECKING:
    from ocsync.store import Profile, ProfileDir

NewName = Annotated[str, typer.Argument(metavar="NEW", help="New name of the profile.")]


def register(group: typer.Typer) -> None:
    """Add the commands to the group `profile`."""

    @command(group, "edit", ExitCode.CONFLICT, exits=LOCAL_EXITS)
    def edit(
        ctx: Context,
        name: OptionalName = "",
        client_id: ClientId = "",
        environment: Environment = "",
        api_url: ApiUrl = "",
        auth_url: AuthUrl = "",
        secret_env: SecretEnv = "",
        secret_command: ProfileSecretCommand = "",
        secret_keyring: SecretKeyring = False,
        marketplace: Marketplace = "",
        production: MaybeProduction = None,
        allow_http: AllowHttp = "",
        notify_env: NotifyEnv = "",
    ) -> None:
        """Change a profile; what no option names stays.

        Another environment or URL is refused while edits are staged, a run is unfinished, a
        target is paused or a listener is attached: these belong to the marketplace of before.

        Examples:
          ocsync profile edit acme --secret-env ACME_SECRET_2
          ocsync profile edit --environment useast-staging
        """
        folder = open_profile(ctx, name)
        with folder.run_lock():
            old = folder.profile
            ctx.workspace.check_trust(folder.path, old)
            changes: dict[str, Any] = {}
            if client_id:
                changes["client_id"] = read_client_id(client_id)
            if secret_env or secret_command or secret_keyring:
                changes["secret"] = read_secret_source(
                    secret_env, secret_command, keyring=secret_keyring
                )
            if marketplace:
                changes["marketplace"] = marketplace.strip()
            if production is not None:
                changes["production"] = production
            if notify_env:
                changes["notify_env"] = read_variable("--notify-env", notify_env)
            if environment or api_url or auth_url or allow_http:
                url = api_url or ("" if environment else old.api_url)
                same_auth = not (environment or api_url) and old.auth_url != old.api_url
                auth = auth_url or (old.auth_url if same_auth else "")
                place = read_place(environment, url, auth, allow_http or old.plain_http)
                changes |= place._asdict()
            if not changes:
                raise UsageError("no change given", hint="ocsync profile edit --help")
            profile = _replaced(old, changes)
            _write(ctx, folder, old, profile)
        store_missing_secret(ctx, profile)
        ctx.console.document("profile edit", profile_document(profile))
        ctx.console.print(f"{profile.name}  {', '.join(sorted(_words(changes)))} changed", "~")
        ctx.console.suggest("ocsync profile check")

    @command(group, "rename", ExitCode.CONFLICT, exits=LOCAL_EXITS)
    def rename(ctx: Context, name: Name, new_name: NewName) -> None:
        """Rename a profile; its journal, pauses and runs stay with it.

        Examples:
          ocsync profile rename acme acme-sandbox
        """
        folder = open_profile(ctx, name)
        with folder.run_lock(), folder.listen_lock():
            if any(folder.window_locks.is_open(p.get("window", "")) for p in _pauses(folder)):
                raise Locked(
                    f"a window of profile {name} is open",
                    hint="run the same command again when it has ended",
                )
            ctx.workspace.rename_profile(name, new_name)
        ctx.console.document("profile rename", {"profile": new_name, "was": name})
        ctx.console.print(f"profile {name} renamed to {new_name}", "~")


def _pauses(folder: ProfileDir) -> list[dict[str, Any]]:
    return list(folder.read_raw_pauses().values())


def _replaced(profile: Profile, changes: dict[str, Any]) -> Profile:
    import msgspec

    return msgspec.structs.replace(profile, **changes)


def _write(ctx: Context, folder: ProfileDir, old: Profile, profile: Profile) -> None:
    """Write *profile* in place of *old*. Raises Conflict when work belongs to the old API."""
    from ocsync.store.profiles import same_place

    if not same_place(old.api_url, profile.api_url):
        if unfinished := folder.unfinished_work():
            raise Conflict(
                f"profile {old.name} cannot point to another marketplace: {unfinished}",
                hint="finish that first, or create another profile: ocsync profile add",
            )
        folder.forget_pin()
    ctx.workspace.write_profile(profile)


def _words(changes: dict[str, Any]) -> set[str]:
    places = {"api_url": "URL", "auth_url": "URL", "environment": "URL", "plain_http": "URL"}
    return {places.get(name, name.replace("_", " ")) for name in changes}
