"""Who works here: the user and the machine, and the CI job where there is one."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Mapping
from string import Formatter

_JOB_URLS = (
    "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}",
    "{CI_JOB_URL}",  # GitLab
    "{SYSTEM_TEAMFOUNDATIONCOLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}",
    "{BITBUCKET_GIT_HTTP_ORIGIN}/pipelines/results/{BITBUCKET_BUILD_NUMBER}",
    "{CIRCLE_BUILD_URL}",
    "{BUILD_URL}",  # Jenkins
)
"""The address of a job, made of the variables that each CI sets; the first that can be made."""


def operator() -> str:
    """Who works here, as `name@host`."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return f"{name}@{socket.gethostname()}"


def ci_job_url(environ: Mapping[str, str]) -> str:
    """The address of the CI job that this runs in, or nothing."""
    for address in _JOB_URLS:
        names = [name for _, name, _, _ in Formatter().parse(address) if name]
        if all(environ.get(name) for name in names):
            return address.format_map(environ).replace(" ", "%20")
    return ""
