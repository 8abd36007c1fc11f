"""TLS as it is on the wire: who is trusted, who is not, and what is the network's trouble."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trustme

from tests.conftest import SECRET, Run

NOW = datetime.datetime.now(datetime.UTC)
HOST = "127.0.0.1"
ANSWERS = {
    True: b'{"access_token": "x", "expires_in": 60}',
    False: b'{"ID": "u", "Seller": {"ID": "m"}}',
}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextmanager
def served(certificate: trustme.LeafCert | None, last_words: bytes = b"") -> Iterator[str]:
    """The URL of a server with *certificate*; without one it hangs up in the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate:
        certificate.configure_cert(context)

    def serve() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            try:
                if not certificate:
                    raw.recv(65536)
                    raw.sendall(last_words)
                    raw.close()
                    continue
                with context.wrap_socket(raw, server_side=True) as other:
                    while data := other.recv(65536):
                        body = ANSWERS[b"/oauth/" in data]
                        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
                        other.sendall(head + body)
            except OSError:
                raw.close()

    with closing(socket.create_server((HOST, 0))) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"https://{HOST}:{listener.getsockname()[1]}"


def check(run: Run, url: str) -> tuple[int, str]:
    run("init")
    run("profile", "add", "x", "--api-url", url, "--client-id", "c", "--secret-env", SECRET)
    result = run("profile", "check")
    return result.code, result.err


@pytest.fixture
def trusted(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authority is one that this machine trusts."""
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


def test_an_authority_of_ones_own_is_trusted_by_ssl_cert_file(
    run: Run, authority: trustme.CA, trusted: None
) -> None:
    with served(authority.issue_cert(HOST)) as url:
        code, err = check(run, url)
    assert code == 4, "signed in, and roles are missing"
    assert not err


@pytest.mark.parametrize("fault", ["unknown", "other host", "expired", "self-signed"])
def test_whom_nobody_vouches_for_is_not_told_the_secret(
    run: Run, authority: trustme.CA, fault: str, request: pytest.FixtureRequest
) -> None:
    if fault != "unknown":
        request.getfixturevalue("trusted")
    yesterday = NOW - datetime.timedelta(days=1)
    certificate = {
        "unknown": lambda: authority.issue_cert(HOST),
        "other host": lambda: authority.issue_cert("sandboxapi.ordercloud.io"),
        "expired": lambda: authority.issue_cert(HOST, not_after=yesterday),
        "self-signed": lambda: trustme.CA().issue_cert(HOST),
    }[fault]()
    with served(certificate) as url:
        code, err = check(run, url)
    assert (code, "the server's certificate cannot be trusted" in err) == (78, True), err
    assert "SSL_CERT_FILE" in err


@pytest.mark.parametrize("last_words", [b"", b"HTTP/1.1 502 Bad Gateway\r\n\r\n"])
def test_a_handshake_that_is_cut_off_is_the_networks_trouble(run: Run, last_words: bytes) -> None:
    with served(None, last_words) as url:
        run("init")
        run("profile", "add", "x", "--api-url", url, "--client-id", "c", "--secret-env", SECRET)
        result = run("resume", "--max-wait", "0.5s")
    assert (result.code, "the network failed" in result.err) == (75, True), result.err


@pytest.mark.parametrize("content", [None, "", "no certificate\n"])
def test_a_named_file_without_a_certificate_is_told(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    """To fall back on another list in silence would trust whom the operator does not."""
    path = tmp_path / "mine.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    code, err = check(run, "https://127.0.0.1:9")
    assert (code, f"SSL_CERT_FILE names {path}" in err) == (78, True), err
