"""Who works here: the address of a CI job, for each CI."""

from __future__ import annotations

import pytest

from ocsync.store.identity import ci_job_url


@pytest.mark.parametrize(("environ", "address"), [
    ({}, ""),
    ({"CI": "true"}, ""),
    ({"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/shop",
      "GITHUB_RUN_ID": "17"}, "https://github.com/acme/shop/actions/runs/17"),
    ({"GITHUB_RUN_ID": "17"}, ""),
    ({"CI_JOB_URL": "https://gitlab.com/acme/shop/-/jobs/17"},
     "https://gitlab.com/acme/shop/-/jobs/17"),
    ({"SYSTEM_TEAMFOUNDATIONCOLLECTIONURI": "https://dev.azure.com/acme/",
      "SYSTEM_TEAMPROJECT": "The Shop", "BUILD_BUILDID": "17"},
     "https://dev.azure.com/acme/The%20Shop/_build/results?buildId=17"),
    ({"BITBUCKET_GIT_HTTP_ORIGIN": "https://bitbucket.org/acme/shop",
      "BITBUCKET_BUILD_NUMBER": "17"}, "https://bitbucket.org/acme/shop/pipelines/results/17"),
    ({"CIRCLE_BUILD_URL": "https://circleci.com/gh/acme/shop/17"},
     "https://circleci.com/gh/acme/shop/17"),
    ({"BUILD_URL": "https://jenkins.example/job/shop/17/"},
     "https://jenkins.example/job/shop/17/"),
])  # fmt: skip
def test_the_address_of_a_job(environ: dict[str, str], address: str) -> None:
    assert ci_job_url(environ) == address
