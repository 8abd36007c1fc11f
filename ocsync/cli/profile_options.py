"""The options that describe a profile, shared by the commands that make and change one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from ocsync.characters import escape_invisible
from ocsync.cli.context import Context
from ocsync.cli.options import check_choice
from ocsync.cli.secret_options import read_variable
from ocsync.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from ocsync.client import Identity
    from ocsync.secrets import SecretSource
    from ocsync.store import Profile, ProfileDir

NewName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the profile.")]
Name = Annotated[str, typer.Argument(metavar="PROFILE", help="Name of the profile.")]
OptionalName = Annotated[
    str, typer.Argument(metavar="[PROFILE]", help="Name of the profile. Default: the current one.")
]
_CLIENT_ID = typer.Option("--client-id", metavar="ID", help="ID of the API client.")
RequiredClientId = Annotated[str, _CLIENT_ID]
ClientId = Annotated[str, _CLIENT_ID]
Environment = Annotated[
    str,
    typer.Option(
        "--environment",
        metavar="REGION-ENV",
        help="OrderCloud environment, such as useast-sandbox.",
    ),
]
ApiUrl = Annotated[
    str,
    typer.Option("--api-url", metavar="URL", help="URL of the API, instead of --environment."),
]
AuthUrl = Annotated[
    str,
    typer.Option("--auth-url", metavar="URL", help="URL of the auth server, if on another host."),
]
SecretEnv = Annotated[
    str,
    typer.Option("--secret-env", metavar="VAR", help="Environment variable that holds the secret."),
]
ProfileSecretCommand = Annotated[
    str, typer.Option("--secret-command", metavar="CMD", help="Command that prints the secret.")
]
SecretKeyring = Annotated[
    bool,
    typer.Option(
        "--secret-keyring",
        help="Keep the secret in the system's keyring; asks for it on a terminal.",
    ),
]
Marketplace = Annotated[
    str,
    typer.Option(
        "--marketplace", metavar="ID", help="ID of the marketplace that the client must belong to."
    ),
]
_PRODUCTION_HELP = "Ask for confirmation as for production, whatever the host."
Production = Annotated[bool, typer.Option("--production", help=_PRODUCTION_HELP)]
MaybeProduction = Annotated[
    bool | None, typer.Option("--production/--no-production", help=_PRODUCTION_HELP)
]
NotifyEnv = Annotated[
    str,
    typer.Option(
        "--notify-env",
        metavar="VAR",
        help="Environment variable that holds the webhook of --notify.",
    ),
]
AllowHttp = Annotated[
    str, typer.Option("--allow-http", metavar="HOST", help="Allow plain http to this host.")
]


class Place(NamedTuple):
    """The API that a profile is for: its URLs, and the host that may be used without TLS."""

    api_url: str
    auth_url: str
    environment: str
    plain_http: str = ""


def read_place(environment: str, api_url: str, auth_url: str, allow_http: str) -> Place:
    """Return the API that the options name. Raises UsageError."""
    from ocsync.store import ENVIRONMENTS
    from ocsync.store.profiles import environment_of

    if bool(environment) == bool(api_url):
        raise UsageError("give either --environment or --api-url")
    if environment:
        check_choice("--environment", environment, ENVIRONMENTS)
    url = ENVIRONMENTS[environment] if environment else _url("--api-url", api_url, allow_http)
    auth = _url("--auth-url", auth_url, allow_http) if auth_url else url
    return Place(url, auth, environment or environment_of(url), allow_http)


def _url(option: str, text: str, plain_http: str) -> str:
    """Return the URL that *option* was given. Raises UsageError."""
    from ocsync.store.profiles import parse_url

    try:
        return parse_url(text, plain_http)
    except UsageError as error:
        raise UsageError(f"{option}: {error.message}", hint=error.hint) from error


def read_secret_source(env: str, command: str, *, keyring: bool) -> SecretSource:
    """Return where the secret is. Raises UsageError unless exactly one place is given."""
    from ocsync.secrets import SecretSource

    if [bool(env), bool(command), keyring].count(True) != 1:
        raise UsageError("give one of --secret-env, --secret-command and --secret-keyring")
    return SecretSource(read_variable("--secret-env", env), command, keyring)


def read_client_id(text: str) -> str:
    """Return the ID of an API client, without blanks around it. Raises UsageError."""
    client_id = text.strip()
    if not client_id.isprintable() or " " in client_id:
        raise UsageError(
            f"--client-id: {escape_invisible(client_id)} has a blank or an invisible character"
        )
    return client_id


def new_profile(
    name: str,
    *,
    client_id: str,
    place: Place,
    secret: SecretSource,
    marketplace: str,
    production: bool,
    notify_env: str = "",
) -> Profile:
    """Return the profile that the options describe."""
    from ocsync.store import Profile

    return Profile(
        name=name,
        **place._asdict(),
        client_id=read_client_id(client_id),
        secret=secret,
        marketplace=marketplace.strip(),
        production=production,
        notify_env=read_variable("--notify-env", notify_env),
    )


def add_profile(ctx: Context, profile: Profile) -> None:
    """Add *profile* to the workspace, and warn where it cannot be recorded as this user's."""
    from ocsync.store.workspace import user_data_folder

    ctx.workspace.add_profile(profile)
    if not ctx.workspace.is_recorded(ctx.workspace.root / "profiles" / profile.name):
        ctx.warn_once(
            f"{user_data_folder(os.environ)} is not writable, so ocsync cannot record that you "
            "added this profile; give the workspace in later commands (OCSYNC_WORKSPACE), or "
            "set OCSYNC_DATA_DIR to a writable folder"
        )


def store_missing_secret(ctx: Context, profile: Profile) -> None:
    """Ask for a secret that the keyring should have and has not, and store it there.

    Without a terminal nothing is asked; the first sign-in says how to store the secret.
    """
    from ocsync.store.profiles import find_in_keyring, store_in_keyring

    if not (profile.secret.keyring and ctx.can_ask):
        return
    try:
        if not find_in_keyring(profile):
            secret = ctx.ask_secret(f"Client secret of {profile.client_id} (not shown): ")
            store_in_keyring(profile, secret)
            ctx.console.info("stored the secret in the system's keyring", "+")
    except ConfigError as error:
        ctx.warn_once(f"{error.message}; next: {error.hint}")


def open_profile(ctx: Context, name: str) -> ProfileDir:
    """Return the folder of profile *name*, else of the current one. Raises ConfigError."""
    return ctx.workspace.open_profile(
        name or ctx.profile_name, warn=ctx.warn_once, command=f"ocsync {ctx.command}"
    )


def profile_document(profile: Profile) -> dict[str, Any]:
    """Return *profile* as JSON data; of its secret only where that is."""
    return {
        "name": profile.name,
        "environment": profile.environment,
        "api_url": profile.api_url,
        "auth_url": profile.auth_url,
        "client_id": profile.client_id,
        "secret": profile.secret.describe(),
        "marketplace": profile.marketplace,
        "notify_env": profile.notify_env,
    }


def identity_document(name: str, identity: Identity, missing: list[str]) -> dict[str, Any]:
    """Return as JSON data who signed in with profile *name*, where, and the roles *missing*."""
    return {
        "profile": name,
        "user": identity.username,
        "marketplace": identity.marketplace,
        "name": identity.name,
        "roles": list(identity.roles),
        "missing": missing,
    }
