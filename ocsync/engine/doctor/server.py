"""Checks that ask the server: sign-in, marketplace, clock, roles, sync and delivery configs.

Nothing is written, not even the pin of the marketplace.
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
from ocsync.engine.doctor.server_context import WRITING, Look, ServerContext, in_use
from ocsync.engine.session import Session
from ocsync.errors import ExitCode, OcsyncError, TryLater
from ocsync.schema import KINDS, TARGETS, Kind

MOST_SKEW = 60.0
"""Seconds; a lease of some minutes would be far off beyond it."""
_GIVE = (
    "have an administrator give it to the API client's default context user, "
    "then: ocsync profile check"
)


async def read_server(session: Session, setup: Setup) -> DoctorReport:
    """Sign in and make every check that asks the server."""
    found = DoctorReport([], {})
    try:
        identity = await session.api.identity()
    except OcsyncError as error:
        said = of_error(error, "every command that asks the server fails so")
        if isinstance(error, TryLater):
            said = said._replace(fix=f"curl -sS -o /dev/null {setup.profile.auth_url}, then again")
        found.said.append(said._replace(id="sign-in"))
        found.skipped.update(dict.fromkeys(CHECKS, Needs.SIGN_IN.value))
        return found
    found.said.append(_signed_in(identity)._replace(id="sign-in"))
    asked = ServerContext(session, setup, identity, in_use(setup))
    for name, look in CHECKS.items():
        try:
            async for said in look(asked):
                found.said.append(said._replace(id=name))
        except Exception as error:  # noqa: BLE001 - a check that fails is told, the others go on
            found.said.append(failed(name, error))
    return found


def _signed_in(identity: Identity) -> CheckResult:
    text = f"{identity.username or 'unnamed'} on {identity.name}"
    if identity.user_type and identity.user_type != "admin":
        return problem(
            f"{text}, a {identity.user_type} user",
            "only admin users may change what belongs to the seller",
            "give the API client an admin user as its default context user",
            code=ExitCode.SIGN_IN,
        )
    return passed(text)


async def marketplace(asked: ServerContext) -> AsyncIterator[CheckResult]:
    """Check that the sign-in is for the marketplace of the journal and the pauses."""
    pin = asked.setup.folder.read_pin()
    expected = asked.setup.profile.marketplace or (pin.id if pin else "")
    found = asked.identity.marketplace
    if expected and expected.casefold() != found.casefold():
        yield problem(
            f"the profile belongs to {expected}, this sign-in is for {found}",
            "journal and pauses of one marketplace must not meet another",
            "check the client ID, or make a new profile: ocsync profile add",
            code=ExitCode.CONFLICT,
        )
    else:
        yield passed(found + ("" if expected else ", not pinned yet"))


async def audience(asked: ServerContext) -> AsyncIterator[CheckResult]:
    """Check that the token is for the host that it is sent to."""
    host = urlsplit(asked.setup.profile.api_url).hostname
    path = asked.setup.short(asked.setup.folder.path / "profile.toml")
    others = [
        text for text in asked.identity.audience if urlsplit(text).hostname not in (host, None)
    ]
    if others and len(others) == len(asked.identity.audience):
        yield problem(
            f"the token is for {', '.join(others)}, but goes to {host}",
            "a token of another environment is worth nothing there, or the profile mixes two",
            f"compare api_url and auth_url in {path}",
            code=ExitCode.BAD_CONFIG,
        )
    else:
        yield passed(f"the token is for {host}")


async def clock(asked: ServerContext) -> AsyncIterator[CheckResult]:
    """Check how far the clocks are apart."""
    skew = asked.session.api.clock_skew
    if skew is None:
        yield passed("the server does not say what time it has")
    elif abs(skew) > MOST_SKEW:
        way = "behind" if skew > 0 else "ahead of"
        yield problem(
            f"this machine's clock is {abs(skew):,.0f} s {way} the server's",
            "leases (pause --for) and expire go by it, and so do the times in every record",
            "timedatectl set-ntp true, or set the clock",
        )
    else:
        yield passed(f"within {max(abs(skew), 1):.0f} s of the server's")


async def roles(asked: ServerContext) -> AsyncIterator[CheckResult]:
    """Check that everything in use can be read and written."""
    have = set(asked.identity.roles)
    if "FullAccess" in have:
        yield passed("FullAccess")
        return
    well = True
    for name, why in asked.use.kinds.items():
        for said in _kind_roles(KINDS[name], why, have):
            well = False
            yield said
    roles_to_pause = {target.role for target in TARGETS.values()}
    for role in sorted(roles_to_pause - have):
        names = [name for name, target in TARGETS.items() if target.role == role]
        used = [
            f"{name} ({asked.use.targets[name]})" for name in names if name in asked.use.targets
        ]
        text = f"no role to pause {', '.join(used or names)}: {role}"
        why = "status, pause and resume can neither read nor change such a sync config"
        if used or not roles_to_pause & have:
            well = False
            yield problem(text, why, _GIVE, code=ExitCode.SIGN_IN)
        else:
            yield warning(text, f"{why}; nothing here needs it yet", _GIVE)
    if well:
        what = "pausing and all that is in use" if asked.use.kinds else "pausing"
        yield passed(f"{len(have)} held, enough for {what} (ocsync doctor KIND... checks more)")


def _kind_roles(kind: Kind, why: str, have: set[str]) -> list[CheckResult]:
    if have & set(kind.writers):
        return []
    writes = why in WRITING
    if writes or not have & set(kind.readers):
        verb = "write" if writes else "read"
        needed = " or ".join(kind.writers if writes else kind.readers)
        return [
            problem(
                f"no role to {verb} {kind.name} ({why}): {needed}",
                "every step of it would fail with 403",
                _GIVE,
                code=ExitCode.SIGN_IN,
            )
        ]
    return []


CHECKS: dict[str, Look] = {
    "marketplace": marketplace,
    "audience": audience,
    "clock": clock,
    "roles": roles,
    "targets": configs.targets,
    "delivery": configs.delivery,
}
