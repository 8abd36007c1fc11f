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
def served(
    certificate: trustme.LeafCert | None, last_words: bytes = b"", plain: bytes = b""
) -> Iterator[str]:
    """The URL of a server with *certificate*; without one it hangs up after *last_words*.

    *plain* is what it answers to bytes that do not begin a handshake.
    """
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
                if raw.recv(1, socket.MSG_PEEK) != b"\x16":
                    raw.recv(65536)
                    raw.sendall(plain)
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


@pytest.mark.quick(1)
@pytest.mark.parametrize(("last_words", "code", "said"), [
    (b"", 75, "cannot connect to 127.0.0.1:"),
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", 78, "does not speak TLS (wrong version number)"),
    (b"SSH-2.0-OpenSSH_9.6\r\n", 78, "does not speak TLS"),
    (b"\x15\x03\x03\x00\x02\x02\x28", 78, "no TLS connection to 127.0.0.1:"),
])  # fmt: skip
def test_a_handshake_that_was_cut_off_differs_from_a_port_without_tls(
    run: Run, last_words: bytes, code: int, said: str
) -> None:
    with served(None, last_words) as url:
        result_code, err = check(run, url)
    assert (result_code, said in err) == (code, True), err


@pytest.mark.parametrize("answer", [
    b"",
    b"\x15\x03\x01\x00\x02\x02\x46",
    b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
])  # fmt: skip
def test_plain_http_on_a_tls_port_is_told_at_once(
    run: Run, authority: trustme.CA, answer: bytes
) -> None:
    with served(authority.issue_cert(HOST), plain=answer) as url:
        code, err = check(run, url.replace("https:", "http:"))
    assert (code, "speaks TLS, but the profile's URL starts with http://" in err) == (78, True), err


def test_a_port_that_speaks_something_else_is_told_at_once(run: Run) -> None:
    with served(None, b"SSH-2.0-OpenSSH_9.6\r\n") as url:
        code, err = check(run, url.replace("https:", "http:"))
    assert (code, "does not speak HTTP" in err) == (78, True), err


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
    assert (code, f"SSL_CERT_FILE is {path}" in err) == (78, True), err
