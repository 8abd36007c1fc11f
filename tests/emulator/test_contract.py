"""Schemathesis over the emulator's own API description: what it says of itself is true."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.builders import HTTP, Shop
from tests.emulator.sdk_cases import SEED

schemathesis = pytest.importorskip("schemathesis", reason="the contract extra is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
CASES = 10_000
"""The requests in all, in the same number for each operation."""
PARTS = 8


def operations(shop: Shop) -> list[Any]:
    schema = schemathesis.openapi.from_dict(HTTP.get(shop.url + "/v1/openapi/v3").json())
    schema.config.base_url = shop.url + "/v1"
    return [result.ok() for result in schema.get_all_operations()]


def failures(operation: Any, headers: dict[str, str], number: int) -> list[str]:
    """Send *number* requests to an operation, valid and invalid ones: the checks that fail."""
    modes = schemathesis.GenerationMode
    found: list[str] = []

    @settings(
        max_examples=number, database=None, derandomize=True, deadline=None,
        phases=[Phase.generate], suppress_health_check=[*HealthCheck],
    )  # fmt: skip
    @given(
        case=st.one_of(operation.as_strategy(modes.POSITIVE), operation.as_strategy(modes.NEGATIVE))
    )
    def send(case: Any) -> None:
        response = case.call(headers=headers)
        try:
            case.validate_response(response, checks=CHECKS)
        except schemathesis.core.failures.FailureGroup as group:
            for failure in group.exceptions:
                answer = f"{response.status_code} {response.text[:200]}"
                found.append(f"{failure}: {case.as_curl_command()[:300]} -> {answer}")

    send()
    return found


def checks() -> list[Any]:
    """All but that invalid requests are refused. Most of those that are accepted are invalid by the
    description alone: an ID in a filter that no entity can have finds nothing, a bulk job takes any
    items and fails them one by one, an object as a number leaves the URL without it.
    """
    from schemathesis.specs.openapi import checks as openapi

    return [schemathesis.checks.not_a_server_error, openapi.status_code_conformance,
            openapi.content_type_conformance, openapi.response_schema_conformance,
            openapi.response_headers_conformance]  # fmt: skip


CHECKS = checks()


@pytest.mark.parametrize("part", range(PARTS))
def test_the_description_is_true(shop: Shop, part: int) -> None:
    shop.seed(**SEED)
    headers = {"Authorization": shop.call("GET", "/me").request.headers["authorization"]}
    every = operations(shop)
    found = [
        f"{operation.label}: {text}"
        for operation in every[part::PARTS]
        for text in failures(operation, headers, CASES // len(every))
    ]
    assert not found, "\n".join(found[:5])
