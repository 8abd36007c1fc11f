"""Proxies: which one is used for a URL, what is refused, and what its refusals are called."""

from __future__ import annotations

import pytest

from ocsync.client.proxy import is_bypassed, parse_proxy, proxy_for
from ocsync.errors import ConfigError



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
    ("socks5://me:hunter2@127.0.0.1:1080", "names a SOCKS proxy, socks5://127.0.0.1:1080"),
    ("SOCKS4A://x:1", "names a SOCKS proxy"),
    ("ftp://me:hunter2@x", "unknown kind, ftp://"),
    ("http://x:70000", "its port is not a number"),
    ("x:0", "its port is not a number"),
    ("http://me:hunter2@x:port", "its port is not a number"),
    ("http:x:3128", "its port is not a number"),
    ("http://", "no valid host"),
    ("a..b:80", "no valid host"),
    ("http://[::1", "not a URL"),
    ("http://a%3Ab:hunter2@x", "cannot be sent to a proxy"),
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
