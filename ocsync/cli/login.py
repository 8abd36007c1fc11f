"""`ocsync login`: a profile by questions, and a first sign-in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import command
from ocsync.cli.profile_options import (
    AllowHttp,
    ApiUrl,
    AuthUrl,
    ClientId,
    Environment,
    Marketplace,
    Place,
    Production,
    ProfileSecretCommand,
    SecretEnv,
    SecretKeyring,
    add_profile,
    identity_document,
    new_profile,
    read_place,
    read_secret_source,
    store_missing_secret,
)
from ocsync.errors import ExitCode, SignInError, UsageError

if TYPE_CHECKING:
    from ocsync.client import Identity
    from ocsync.secrets import SecretSource

T = TypeVar("T")
_MAX_WAIT = 10.0
_TRIES = 3
_SECRET_PLACES = {
    "1": "an environment variable",
    "2": "a command that prints it, such as a password manager's",
    "3": "the system's keyring",
}


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "login")
    def login(
        ctx: Context,
        name: Annotated[
            str, typer.Argument(metavar="[PROFILE]", help="Name of the profile, new or not.")
        ] = "",
        purposes: Annotated[
            list[str],
            typer.Option(
                "--for", metavar="KIND|TARGET", help="What you will change; can be repeated."
            ),
        ] = [],  # noqa: B006 - typer reads it and never changes it
        client_id: ClientId = "",
        environment: Environment = "",
        api_url: ApiUrl = "",
        auth_url: AuthUrl = "",
        secret_env: SecretEnv = "",
        secret_command: ProfileSecretCommand = "",
        secret_keyring: SecretKeyring = False,
        marketplace: Marketplace = "",
        production: Production = False,
        allow_http: AllowHttp = "",
    ) -> ExitCode:
        """Add a profile step by step, and sign in with it.

        Asks for what no option gives: the environment, the API client, and where its secret is.
        Then it signs in and shows the marketplace and the roles that are missing. For a profile
        that exists it signs in only.

        Examples:
          ocsync login
          ocsync login acme --for inventory --for product
        """
        from ocsync.engine.session import missing_roles

        asked = _read_purposes(purposes)
        given = (
            client_id, environment, api_url, auth_url, secret_env, secret_command, secret_keyring,
            marketplace, production, allow_http,
        )  # fmt: skip
        names = ctx.workspace.profile_names()
        name = name or ctx.profile_name or ("" if any(given) else ctx.workspace.current_profile)
        if name in names:
            if any(given):
                raise UsageError(
                    f"profile {name} exists already", hint=f"ocsync profile edit {name} --help"
                )
        else:
            place = (
                read_place(environment, api_url, auth_url, allow_http)
                if environment or api_url
                else _ask_until_valid(ctx, _ask_place)
            )
            client_id = client_id or ctx.ask_text("ID of the API client", "--client-id")
            secret = (
                read_secret_source(secret_env, secret_command, keyring=secret_keyring)
                if secret_env or secret_command or secret_keyring
                else _ask_until_valid(ctx, _ask_secret_source)
            )
            default = place.environment or "main"
            if not name:
                name = (
                    ctx.ask_text("Name of the profile", "NAME", default) if ctx.can_ask else default
                )
            profile = new_profile(
                name,
                client_id=client_id,
                place=place,
                secret=secret,
                marketplace=marketplace,
                production=production,
            )
            add_profile(ctx, profile)
            store_missing_secret(ctx, profile)
            ctx.console.info(f"profile {name} added: {profile.api_url}", "+")
        ctx.profile_name = name
        identity = _sign_in(ctx)
        if ctx.workspace.current_profile != name:
            ctx.workspace.use_profile(name)
            ctx.console.info(f"profile {name} is now the current one", "~")
        missing = missing_roles(identity, asked)
        _show(ctx, name, identity, missing)
        return ExitCode.SIGN_IN if missing else ExitCode.DONE


def _read_purposes(names: list[str]) -> tuple[str, ...]:
    """Return the kinds and targets that *names* mean. Raises UsageError."""
    from ocsync.schema import KINDS, read_targets

    kinds = [name for name in names if name in KINDS]
    direct, grouped = read_targets(name for name in names if name not in KINDS)
    return (*kinds, *(target.name for target in (*direct, *grouped)))


def _ask_until_valid(ctx: Context, ask: Callable[[Context], T]) -> T:
    """Return what *ask* returns; on a terminal it asks again after a wrong answer, a few times."""
    for _ in range(_TRIES - 1):
        try:
            return ask(ctx)
        except UsageError as error:
            if not ctx.can_ask:
                raise
            ctx.console.alert(error.message)
            if error.hint and not error.hint.startswith("ocsync "):
                ctx.console.alert(f"  {error.hint}", "")
    return ask(ctx)


def _ask_place(ctx: Context) -> Place:
    from ocsync.store import ENVIRONMENTS

    if ctx.can_ask:
        regions = list(dict.fromkeys(name.partition("-")[0] for name in ENVIRONMENTS))
        ctx.console.info(f"Regions: {', '.join(regions)}. Stages: production, staging, sandbox.")
    text = ctx.ask_text(
        "Environment (REGION-STAGE), or the URL of the API", "--environment", "useast-sandbox"
    )
    is_url = "/" in text or "." in text
    return read_place("" if is_url else text, text if is_url else "", "", "")


def _ask_secret_source(ctx: Context) -> SecretSource:
    if not ctx.can_ask:
        return read_secret_source("", "", keyring=False)
    for number, place in _SECRET_PLACES.items():
        ctx.console.info(f"{number}  {place}")
    choice = ctx.ask_text("Where is the client secret?", "--secret-env", "1")
    if choice not in _SECRET_PLACES:
        raise UsageError(
            f"{choice} is not one of {', '.join(_SECRET_PLACES)}", hint="ocsync login --help"
        )
    if choice == "3":
        return read_secret_source("", "", keyring=True)
    if choice == "2":
        return read_secret_source("", ctx.ask_text("Command", "--secret-command"), keyring=False)
    variable = ctx.ask_text("Name of the variable", "--secret-env", "ORDERCLOUD_SECRET")
    return read_secret_source(variable, "", keyring=False)


def _sign_in(ctx: Context) -> Identity:
    """Return who signed in. Raises SignInError with the way to correct the profile."""
    from ocsync.client import Limits
    from ocsync.engine.session import sign_in

    try:
        return ctx.run_online(sign_in, limits=Limits(max_wait=_MAX_WAIT))
    except SignInError as error:
        name = ctx.profile_name
        text = f"ocsync profile edit {name} --client-id ID; then ocsync login {name}"
        raise SignInError(error.message, hint=error.hint or text) from error


def _show(ctx: Context, name: str, identity: Identity, missing: list[str]) -> None:
    facts = identity_document(name, identity, missing)
    ctx.console.document("login", facts)
    label = identity.name or identity.marketplace
    ctx.console.print(f"signed in to {label} ({identity.marketplace}) as {identity.username}", "✓")
    if "FullAccess" in identity.roles:
        ctx.console.info("the role FullAccess lets a leaked secret do everything", "!")
    if missing:
        ctx.console.print(f"missing roles: {', '.join(missing)}", "!")
        ctx.console.info(
            "  In the Portal: open the API client, look up its default context user, and assign "
            "this user a security profile with these roles (never FullAccess). Then sign in again."
        )
        ctx.console.suggest(f"ocsync login {name}")
    else:
        ctx.console.suggest("ocsync doctor", "ocsync stage import FILE")
