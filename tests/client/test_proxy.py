"""Proxies: which one is used for a URL, what is refused, and what its refusals are called."""

from __future__ import annotations

import json

import pytest

from ocsync.client.proxy import is_bypassed, parse_proxy, proxy_for
from ocsync.errors import ConfigError
from tests.client.wire import ME, TOKEN, platform, reply, serving
from tests.conftest import SECRET, Run

NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def profile(run: Run) -> Run:
    """A workspace whose profile's server is not there: only a proxy can answer."""
    run("init")
    words = ("--api-url", NOBODY, "--client-id", "c", "--secret-env", SECRET)
    assert run("profile", "add", "x", *words).code == 0
    return run


@pytest.mark.parametrize(("value", "scheme", "address", "username", "password"), [
    ("http://proxy.example:3128", "http", "proxy.example:3128", "", ""),
    ("proxy.example:3128", "http", "proxy.example:3128", "", ""),
    ("  //proxy.example ", "http", "proxy.example:80", "", ""),
    ("HTTPS://Proxy.example/", "https", "proxy.example:443", "", ""),
    ("me:p%40ss%3A@127.0.0.1:8080", "http", "127.0.0.1:8080", "me", "p@ss:"),
    ("http://[::1]:8080", "http", "[::1]:8080", "", ""),
])  # fmt: skip
def test_a_proxy_is_read_as_curl_reads_it(
    value: str, scheme: str, address: str, username: str, password: str
) -> None:
    proxy = parse_proxy(value, "HTTPS_PROXY")
    assert (proxy.scheme, proxy.address) == (scheme, address)
    assert (proxy.username, proxy.password) == (username, password)


@pytest.mark.parametrize(("value", "reason"), [
    ("socks5://me:hunter2@127.0.0.1:1080", "is a SOCKS proxy, socks5://127.0.0.1:1080"),
    ("SOCKS4A://x:1", "is a SOCKS proxy"),
    ("ftp://me:hunter2@x", "an unknown kind, ftp://"),
    ("http://x:70000", "its port is not a number"),
    ("x:0", "its port is not a number"),
    ("http://me:hunter2@x:port", "its port is not a number"),
    ("http:x:3128", "its port is not a number"),
    ("http://", "no valid host"),
    ("a..b:80", "no valid host"),
    ("http://[::1", "not a URL"),
    ("http://a%3Ab:hunter2@x", "which a proxy cannot receive"),
])  # fmt: skip
def test_an_unusable_proxy_is_named_with_its_variable(value: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_proxy(value, "all_proxy")
    assert caught.value.message.startswith("all_proxy ")
    assert reason in caught.value.message
    assert "hunter2" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(("no_proxy", "host", "port", "bypassed"), [
    ("*", "api.ordercloud.io", 443, True),
    ("", "api.ordercloud.io", 443, False),
    ("ordercloud.io", "api.ordercloud.io", 443, True),
    (".ordercloud.io", "ordercloud.io", 443, True),
    ("*.ordercloud.io", "API.ordercloud.io.", 443, True),
    ("cloud.io", "ordercloud.io", 443, False),
    ("x, ordercloud.io:443 y", "api.ordercloud.io", 443, True),
    ("ordercloud.io:8443", "api.ordercloud.io", 443, False),
    ("10.0.0.0/8", "10.1.2.3", 443, True),
    ("10.0.0.7/8", "10.1.2.3", 443, True),
    ("10.0.0.0/8", "11.1.2.3", 443, False),
    ("10.0.0.0/8:80", "10.1.2.3", 443, False),
    ("10.0.0.0/8", "api.ordercloud.io", 443, False),
    ("10.*", "10.1.2.3", 443, True),
    ("127.0.0.1", "127.0.0.1", 8765, True),
    ("::1", "::1", 443, True),
    ("[::1]:443", "::1", 443, True),
    ("fe80::/10", "fe80::1", 443, True),
    ("10.0.0.0/99", "10.1.2.3", 443, False),
])  # fmt: skip
def test_no_proxy_takes_names_networks_and_ports(
    no_proxy: str, host: str, port: int, *, bypassed: bool
) -> None:
    assert is_bypassed(host, port, no_proxy) is bypassed


def test_each_url_has_its_own_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:3129")
    monkeypatch.setenv("NO_PROXY", "useast-sandbox.ordercloud.io")
    assert proxy_for("https://useast-sandbox.ordercloud.io") is None
    proxy, other = proxy_for("https://api.ordercloud.io"), proxy_for("http://api.ordercloud.io")
    assert proxy
    assert (proxy.setting, proxy.address) == ("HTTPS_PROXY", "127.0.0.1:3128")
    assert other
    assert (other.setting, other.address) == ("ALL_PROXY", "127.0.0.1:3129")


def test_a_proxy_without_a_scheme_is_used(profile: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(platform) as proxy:
        monkeypatch.setenv("http_proxy", f"me:p%C3%A4ss@127.0.0.1:{proxy.port}")
        assert profile("profile", "check").code == 4, "signed in, and roles are missing"
        doctor = profile("doctor", "--offline", "--json")
    assert [request.split(b" ")[1] for request in proxy.requests] == [
        b"http://127.0.0.1:9/oauth/token", b"http://127.0.0.1:9/v1/me",
    ]  # fmt: skip
    assert all(b"Proxy-Authorization: Basic bWU6cMOkc3M=" in r for r in proxy.requests)
    (said,) = [row["what"] for row in json.loads(doctor.out)["checks"] if row["id"] == "proxy"]
    assert said == f"http_proxy sends requests to 127.0.0.1 through proxy 127.0.0.1:{proxy.port}"


def test_sign_in_and_api_are_routed_each_by_its_own(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(lambda _: TOKEN) as signer, serving(lambda _: ME) as proxy:
        run("init")
        run("profile", "add", "x", "--api-url", "http://localhost:9", "--auth-url", signer.url,
            "--client-id", "c", "--secret-env", SECRET)  # fmt: skip
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
        assert run("profile", "check").code == 4
    assert [request.split(b" ")[1] for request in signer.requests] == [b"/oauth/token"]
    assert [request.split(b" ")[1] for request in proxy.requests] == [b"http://localhost:9/v1/me"]


@pytest.mark.parametrize("value", ["socks5://{}", "socks5h://{}", "gopher://{}", "{}0000"])
def test_nothing_is_sent_to_what_is_no_http_proxy(
    profile: Run, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    with serving(platform) as proxy:
        monkeypatch.setenv("ALL_PROXY", value.format(f"127.0.0.1:{proxy.port}"))
        result = profile("status")
        doctor = profile("doctor", "--offline")
    assert (result.code, doctor.code) == (78, 78)
    assert "ALL_PROXY" in result.err
    assert "ALL_PROXY" in doctor.out
    assert not proxy.requests


DENIED = reply(
    "407 Proxy Authentication Required", b"<html>", 'Proxy-Authenticate: Basic realm="x"'
)


@pytest.mark.parametrize(("scheme", "answer", "login", "code", "said"), [
    ("http", DENIED, "", 78, "the proxy 127.0.0.1:{} requires a password, which HTTP_PROXY does not contain"),
    ("https", DENIED, "", 78, "the proxy 127.0.0.1:{} requires a password, which HTTPS_PROXY does not contain"),
    ("https", DENIED, "me:x@", 78, "the proxy 127.0.0.1:{} rejects the password in HTTPS_PROXY"),
    ("https", reply("403 Forbidden"), "", 78, "refuses connections to 127.0.0.1:9: 403 Forbidden"),
    ("https", reply("502 Bad Gateway"), "", 75, "of HTTPS_PROXY responded with 502 Bad Gateway; gave up"),
])  # fmt: skip
def test_a_proxy_that_refuses_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch,
    scheme: str, answer: bytes, login: str, code: int, said: str,
) -> None:  # fmt: skip
    run("init")
    run("profile", "add", "x", "--api-url", f"{scheme}://127.0.0.1:9", "--client-id", "c",
        "--secret-env", SECRET)  # fmt: skip
    with serving(lambda _: answer) as proxy:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://{login}127.0.0.1:{proxy.port}")
        result = run("resume", "--max-wait", "0.4s")
    assert (result.code, said.format(proxy.port) in result.err) == (code, True), result
    assert "x@" not in result.err
    if code == 78:
        assert len(proxy.requests) == 1, "it is not asked again"


def test_a_proxy_that_is_not_there_is_named(profile: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "127.0.0.1:9")
    result = profile("status")
    assert result.code == 75
    assert "cannot connect to the proxy 127.0.0.1:9 (connection refused)" in result.err


def test_a_proxy_that_does_not_speak_tls_is_named(
    profile: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad_request = reply("400 Bad Request")
    with serving(lambda _: bad_request) as proxy:
        monkeypatch.setenv("http_proxy", f"https://127.0.0.1:{proxy.port}")
        result = profile("status")
    port = proxy.port
    assert f"the proxy 127.0.0.1:{port} does not speak TLS (wrong version number)" in result.err
    assert result.code == 78
    assert "use http:// instead of https:// in http_proxy" in result.err
