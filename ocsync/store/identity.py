"""Identity of the operator: the user and the machine, and the CI job if there is one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_JOB_URLS = (
    "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}",
    "{CI_JOB_URL}",  # GitLab
    "{SYSTEM_TEAMFOUNDATIONCOLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}",
    "{BITBUCKET_GIT_HTTP_ORIGIN}/pipelines/results/{BITBUCKET_BUILD_NUMBER}",
    "{CIRCLE_BUILD_URL}",
    "{BUILD_URL}",  # Jenkins
)
"""Addresses of a job, built from the variables that each CI sets; the first complete one counts."""


def operator() -> str:
    """Return the operator as `name@host`."""
    import getpass
    import socket

    try:
        name = getpass.getuser()
    except (ImportError, KeyError, OSError):  # Windows has no pwd to ask without a variable
        name = "unknown"
    return f"{name}@{socket.gethostname()}"


def owner_of(path: Path) -> str:
    """Return, in words, the other user that owns *path*; a link is not followed."""
    try:
        import pwd

        return f"another user ({pwd.getpwuid(path.lstat().st_uid).pw_name})"
    except (ImportError, KeyError, OSError):
        return "another user"


def ci_job_url(environ: Mapping[str, str]) -> str:
    """Return the address of the present CI job; empty for none."""
    from string import Formatter

    for address in _JOB_URLS:
        names = [name for _, name, _, _ in Formatter().parse(address) if name]
        if all(environ.get(name) for name in names):
            return address.format_map(environ).replace(" ", "%20")
    return ""
