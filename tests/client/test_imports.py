"""The start of the HTTP stack."""

from __future__ import annotations

import os
import ssl

import pytest

from ocsync.client import aiohttp_import


@pytest.mark.parametrize("named", ["", "/some/certificates.pem"])
def test_no_certificates_are_read_while_aiohttp_is_imported(
    monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    if named:
        monkeypatch.setenv("SSL_CERT_FILE", named)
    with aiohttp_import._no_certificates():
        assert ssl.create_default_context().cert_store_stats()["x509_ca"] == 0
    assert os.environ.get("SSL_CERT_FILE", "") == named


def test_a_connection_of_the_client_uses_the_systems_certificates() -> None:
    from ocsync.client.factory import _trust_store

    assert _trust_store().cert_store_stats()["x509_ca"] > 0
