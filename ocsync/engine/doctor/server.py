"""Checks that ask the server: sign-in, marketplace, clock, roles, sync and delivery configs.

They write nothing, not even the pin of the marketplace.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from ocsync.client import Identity
from ocsync.engine.doctor import configs
from ocsync.engine.doctor.check import (
    CheckResult,
    DoctorReport,
    Needs,
    Setup,
    failed,
    of_error,
    passed,
    problem,
    warning,
)
from ocsync.engine.doctor.server_context import WRITING, ServerCheck, ServerContext, in_use
from ocsync.engine.session import Session
from ocsync.errors import ExitCode, OcsyncError, TryLater
from ocsync.plurals import count
from ocsync.schema import KINDS, TARGETS, Kind

MOST_SKEW = 60.0
"""Seconds; with more, a pause of some minutes would end far too early or too late."""
_GIVE = (
    "have an administrator give it to the API client's default context user, "
    "then: ocsync profile check"
)


async def read_server(session: Session, setup: Setup) -> DoctorReport:
    """Sign in and run every check that asks the server."""
    report = DoctorReport([], {})
    try:
        identity = await session.api.identity()
    except OcsyncError as error:
        result = of_error(error, "every command that contacts the server fails in this way")
        if isinstance(error, TryLater):
            result = result._replace(
                fix=f"curl -sS -o /dev/null {setup.profile.auth_url}, then ocsync doctor"
            )
        report.results.append(result._replace(id="sign-in"))
        report.skipped.update(dict.fromkeys(CHECKS, Needs.SIGN_IN.value))
        return report
    report.results.append(_signed_in(identity)._replace(id="sign-in"))
    context = ServerContext(session, setup, identity, in_use(setup))
    for name, check in CHECKS.items():
        try:
            async for result in check(context):
                report.results.append(result._replace(id=name))
        except Exception as error:  # noqa: BLE001 - a check that fails is reported, the others run
            report.results.append(failed(name, error))
    return report


def _signed_in(identity: Identity) -> CheckResult:
    text = f"{identity.username or 'unnamed'} on {identity.name}"
    if identity.user_type and identity.user_type != "admin":
        return problem(
            f"{text}, a {identity.user_type} user",
            "only admin users can change the seller's data",
            "give the API client an admin user as its default context user",
            code=ExitCode.SIGN_IN,
        )
    return passed(text)


async def marketplace(context: ServerContext) -> AsyncIterator[CheckResult]:
    """Check that the sign-in is for the marketplace of the journal and the pauses."""
    pin = context.setup.folder.read_pin()
    expected = context.setup.profile.marketplace or (pin.id if pin else "")
    actual = context.identity.marketplace
    if expected and expected.casefold() != actual.casefold():
        yield problem(
            f"the profile is for {expected}, but this sign-in is for {actual}",
            "the journal and pauses of one marketplace must not be used with another",
            "check the client ID, or make a new profile: ocsync profile add",
            code=ExitCode.CONFLICT,
        )
    else:
        yield passed(actual + ("" if expected else ", not pinned yet"))


async def audience(context: ServerContext) -> AsyncIterator[CheckResult]:
    """Check that the token is for the host that it is sent to."""
    host = urlsplit(context.setup.profile.api_url).hostname
    path = context.setup.short(context.setup.folder.path / "profile.toml")
    others = [
        text for text in context.identity.audience if urlsplit(text).hostname not in (host, None)
    ]
    if others and len(others) == len(context.identity.audience):
        yield problem(
            f"the token is for {', '.join(others)}, but goes to {host}",
            "a token of one environment is not valid in another",
            f"compare api_url and auth_url in {path}",
            code=ExitCode.BAD_CONFIG,
        )
    else:
        yield passed(f"the token is for {host}")


async def clock(context: ServerContext) -> AsyncIterator[CheckResult]:
    """Check the difference between the clocks of this machine and the server."""
    skew = context.session.api.clock_skew
    if skew is None:
        yield passed("the server sends no time")
    elif abs(skew) > MOST_SKEW:
        way = "behind" if skew > 0 else "ahead of"
        yield problem(
            f"this machine's clock is {abs(skew):,.0f} s {way} the server's",
            "pause --for, expire and all recorded times depend on it",
            "timedatectl set-ntp true, or set the clock",
        )
    else:
        yield passed(f"within {max(abs(skew), 1):.0f} s of the server's")


async def roles(context: ServerContext) -> AsyncIterator[CheckResult]:
    """Check that everything in use can be read and written."""
    held_roles = set(context.identity.roles)
    if "FullAccess" in held_roles:
        if context.setup.profile.guarded:
            yield warning(
                "FullAccess on a production marketplace",
                "OrderCloud advises against it: one mistake can change everything",
                "give the API client only the roles it needs (ocsync help ordercloud, section 1.3)",
            )
        else:
            yield passed("FullAccess, which should not be used in production")
        return
    all_passed = True
    for name, reason in context.use.kinds.items():
        for result in _kind_roles(KINDS[name], reason, held_roles):
            all_passed = False
            yield result
    roles_to_pause = {target.role for target in TARGETS.values()}
    for role in sorted(roles_to_pause - held_roles):
        names = [name for name, target in TARGETS.items() if target.role == role]
        used = [
            f"{name} ({context.use.targets[name]})" for name in names if name in context.use.targets
        ]
        text = f"no role to pause {', '.join(used or names)}: {role}"
        consequence = "status, pause and resume can neither read nor change such a sync config"
        if used or not roles_to_pause & held_roles:
            all_passed = False
            yield problem(text, consequence, _GIVE, code=ExitCode.SIGN_IN)
        else:
            yield warning(text, f"{consequence}; nothing in this workspace needs it yet", _GIVE)
    if all_passed:
        extent = "pausing and every kind in use" if context.use.kinds else "pausing"
        yield passed(
            f"{count(len(held_roles), 'role')}, enough for {extent} "
            "(ocsync doctor KIND... checks more)"
        )


def _kind_roles(kind: Kind, reason: str, held_roles: set[str]) -> list[CheckResult]:
    if held_roles & set(kind.writers):
        return []
    writes = reason in WRITING
    if writes or not held_roles & set(kind.readers):
        verb = "write" if writes else "read"
        needed = " or ".join(kind.writers if writes else kind.readers)
        return [
            problem(
                f"no role to {verb} {kind.name} ({reason}): {needed}",
                "every request for it would fail with 403",
                _GIVE,
                code=ExitCode.SIGN_IN,
            )
        ]
    return []


CHECKS: dict[str, ServerCheck] = {
    "marketplace": marketplace,
    "audience": audience,
    "clock": clock,
    "roles": roles,
    "targets": configs.targets,
    "delivery": configs.delivery,
}
