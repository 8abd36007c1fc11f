"""Answers of gateways: none is taken for OrderCloud's, whatever its status and encoding."""

from __future__ import annotations

import gzip
import os
import socket
import zlib
from contextlib import ExitStack, closing, suppress
from itertools import product
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsync.client.responses import error_of, visible_text
from ocsync.client.retry import Verdict, verdict_of
from ocsync.errors import (
    AlreadyExists,
    ApiError,
    GatewayRefusal,
    LostAnswer,
    NotFound,
    OcsyncError,
    RoleMissing,
    SignInError,
    TryLater,
)
from tests.builders import Shop
from tests.client.test_client import talk
from tests.client.wire import ME, TOKEN, only, platform, reply, serving
from tests.conftest import SECRET, Run

PAGE = b"<html><head><title>Blocked</title><style>p{}</style></head><h1>Access denied</h1></html>"
ZIPPED = gzip.compress(b'{"a":1}', mtime=0)
ERROR = b'{"Errors":[{"ErrorCode":"%s","Message":"m"}]}'


def at_sign_in(run: Run, answer: bytes) -> tuple[int, str, list[bytes]]:
    """What `status` says when the sign-in has *answer*, and the requests that it sent."""
    with serving(only(b"/oauth/token", answer)) as server:
        run("init")
        run("profile", "add", "x", "--api-url", server.url, "--client-id", "c",
            "--secret-env", SECRET)  # fmt: skip
        result = run("status")
    return result.code, result.err, server.requests


@pytest.mark.parametrize(("answer", "said"), [
    (reply("200 OK", PAGE), 'the response to the sign-in is not JSON: "Access denied"'),
    (reply("200 OK"), "the response to the sign-in is not JSON"),
    (reply("403 Forbidden", PAGE), 'a gateway responded with 403, not OrderCloud: "Access denied"'),
    (reply("404 Not Found"), "a gateway responded with 404, not OrderCloud"),
    (reply("401 Unauthorized", b"who?"), 'a gateway responded with 401, not OrderCloud: "who?"'),
    (reply("200 OK", TOKEN, "Content-Encoding: gzip"), "it is labelled gzip, but is not gzip"),
    (reply("200 OK", TOKEN, "Content-Encoding: br"), "it is encoded as 'br', which was not requested"),
    (reply("200 OK", b'{"access_token":"a\\nb"}'), "a token that is not valid in a header"),
    (reply("200 OK", '{"access_token":"tokén"}'.encode()), "a token that is not valid in a header"),
])  # fmt: skip
def test_a_sign_in_that_a_gateway_answers_is_tried_later(
    run: Run, answer: bytes, said: str
) -> None:
    code, err, requests = at_sign_in(run, answer)
    assert (code, said in err) == (75, True), err
    assert len(requests) == 1, "waiting does not help, so it does not wait"


@pytest.mark.parametrize(
    ("answer", "said", "attempts"),
    [
        (b"", "closed the connection without a response; gave up after 4 attempts", 4),
        (reply("501 Not Implemented", PAGE), "a gateway responded with 501", 1),
    ],
)
def test_a_port_of_something_else_is_told_soon(
    run: Run, answer: bytes, said: str, attempts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ocsync.client.retry.backoff", lambda *_, **__: 0.01)
    code, err, requests = at_sign_in(run, answer)
    sign_ins = [request for request in requests if b"/oauth/token" in request]  # no handshakes
    assert (code, said in err, len(sign_ins)) == (75, True, attempts), err
    assert "check" in err
    assert "the profile's API URL" in err


def test_a_port_that_answers_no_connection_is_tried_once() -> None:
    """It is not taken for a request that was sent, and may have taken effect."""
    with closing(socket.socket()) as full, ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(3):
            client = waiting.enter_context(closing(socket.socket()))
            client.setblocking(False)
            with suppress(BlockingIOError):
                client.connect(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        with pytest.raises(TryLater) as error:
            talk(url, lambda api: api.identity(), connect=0.1)
    host = url.removeprefix("http://")
    assert str(error.value) == f"cannot connect to {host} (timed out); gave up after 1 attempt"


def test_the_secret_does_not_follow_a_redirect(run: Run) -> None:
    with serving(platform) as portal:
        away = reply("307 Temporary Redirect", b"", f"Location: {portal.url}/oauth/token")
        code, err, _ = at_sign_in(run, away)
    assert (code, portal.requests) == (75, [])
    assert f"a gateway redirected the request to 127.0.0.1:{portal.port} (307)" in err
    assert "a proxy may have responded" in err


def test_a_redirect_that_repeats_the_secret_hides_it(run: Run) -> None:
    secret = os.environ[SECRET]
    away = reply("307 Temporary Redirect", b"", f"Location: https://{secret}.example/x")
    code, err, _ = at_sign_in(run, away)
    assert (code, secret in err, "(hidden).example" in err) == (75, False, True), err


def test_an_error_without_a_code_is_a_gateways() -> None:
    """Above all a 404 is then no word about an entity."""
    bodies = (b"", PAGE, b'{"message":"no"}', b'{"Errors":[]}', b"[1]")
    for status, body in product((302, 400, 401, 403, 404, 409, 413, 418), bodies):
        read, write = (error_of(status, body, f"{method} /x") for method in ("GET", "PATCH"))
        assert type(read) is TryLater
        assert type(write) is GatewayRefusal
        assert read.exit_code == write.exit_code == 75
        assert str(status) in read.message
        assert "role" not in read.message + read.hint


@pytest.mark.parametrize(("status", "kind"), [
    (400, ApiError), (401, SignInError), (403, RoleMissing), (404, NotFound), (409, AlreadyExists),
])  # fmt: skip
def test_an_error_with_a_code_is_ordercloud_s(status: int, kind: type[OcsyncError]) -> None:
    assert type(error_of(status, ERROR % b"Some.Code", "GET /x")) is kind


@pytest.mark.parametrize(("page", "words"), [
    (PAGE, "Access denied"),
    (b"<title>Wartung</title>", "Wartung"),
    (b"<head><title>413</title></head>", "413"),
    (b"<!-- <b>x</b> --><script>var a = '<b>'</script>plain &amp; simple", "plain & simple"),
    (b"<style>never closed", ""),
    ("\u202egod\x1b[31m\u200bs".encode(), "god [31m s"),
    (b"x" * 500, "x" * 100 + "..."),
    (b"\xff\xfe", "\ufffd\ufffd"),
])  # fmt: skip
def test_a_page_is_shown_by_its_first_words(page: bytes, words: str) -> None:
    assert visible_text(page) == words


@given(st.binary(max_size=300))
def test_any_page_is_shown_on_one_line(page: bytes) -> None:
    words = visible_text(b"<p>" + page)
    assert words.isprintable()
    assert len(words) <= 103


def verdict(status: int, body: bytes = b"", **headers: str) -> Verdict:
    return verdict_of(httpx.Response(status, headers=headers, content=body))


def test_a_5xx_that_is_no_refusal_leaves_the_effect_open() -> None:
    statuses = (408, 500, 501, 502, 503, 504, 505, 507, 520, 522, 524, 530, 599)
    bodies = (b"", PAGE, ERROR % b"", ERROR % b"ServerError", b'{"Errors":[]}')
    for status, body in product(statuses, bodies):
        assert verdict(status, body) is Verdict.OPEN, (status, body)


def test_a_clear_refusal_has_no_effect() -> None:
    offline = ERROR % b"Api.Offline"
    assert verdict(429, PAGE) is Verdict.REFUSED
    assert verdict(503, offline) is Verdict.REFUSED
    assert verdict(503, PAGE, **{"Retry-After": "1"}) is Verdict.REFUSED
    assert verdict(507, offline) is Verdict.FINAL
    assert verdict(500, offline) is Verdict.OPEN, "it may be a timeout of the server"
    for status in (200, 204, 302, 400, 404, 409, 422):
        assert verdict(status, PAGE) is Verdict.FINAL


@pytest.mark.quick(2)
@pytest.mark.parametrize("status", [404, 503, 507, 524])
def test_an_adjustment_counts_once_whatever_a_gateway_answers(
    ocsync: Run, shop: Shop, status: int
) -> None:
    [ref] = shop.stock(records=1, quantity=100)
    record = "/products/P0/inventoryrecords/R0"
    page = {"status": status, "action": "html", "path": record, "method": "PATCH"}
    shop.faults({**page, "effect": True})
    assert ocsync("stage", "adjust", ref, "QuantityAvailable+=5").code == 0
    assert ocsync("resume", "--verify").code == 0
    assert shop.get(record)["QuantityAvailable"] == 105
    assert len(shop.writes()) == 1

    shop.faults({**page, "times": 2})
    assert ocsync("stage", "adjust", ref, "QuantityAvailable+=5").code == 0
    assert ocsync("resume", "--verify").code == 0
    assert shop.get(record)["QuantityAvailable"] == 110


def test_a_firewall_that_refuses_one_write_fails_that_write(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[{"ID": "A", "Name": "a"}, {"ID": "B", "Name": "b"}])
    shop.faults({"status": 403, "action": "html", "path": "/catalogs/A", "method": "PATCH"})
    for catalog in "AB":
        ocsync("stage", "set", f"catalog/{catalog}", "Name=new")
    result = ocsync("resume")
    assert result.code == 3
    assert 'a gateway responded with 403, not OrderCloud: "gateway"' in result.out + result.err
    assert "role" not in result.out + result.err
    assert shop.get("/catalogs/B")["Name"] == "new"


def test_a_page_in_place_of_an_entity_is_not_its_absence(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[{"ID": "A", "Name": "a"}])
    shop.faults({"status": 404, "action": "html", "path": "/catalogs", "method": "GET", "times": 9})
    ocsync("stage", "put", "catalog/A", "Name=new")
    result = ocsync("resume")
    assert (result.code, "a gateway responded with 404" in result.err) == (75, True), result
    assert not shop.writes()


def body_of(encoding: str, content: bytes) -> Any:
    """What a read makes of *content*, labelled *encoding*."""
    answer = reply("200 OK", content, f"Content-Encoding: {encoding}")
    with serving(only(b"/v1/", answer)) as server:
        return talk(server.url, lambda api: api.get("/me"))


@pytest.mark.parametrize(("encoding", "content"), [
    ("gzip", ZIPPED), ("GZIP", ZIPPED),
    ("deflate", zlib.compress(b'{"a":1}')), ("identity", b'{"a":1}'), ("gzip", b""),
])  # fmt: skip
def test_an_encoded_answer_is_decoded(encoding: str, content: bytes) -> None:
    assert body_of(encoding, content) == ({"a": 1} if content else None)


def test_a_number_that_is_out_of_range_is_its_text() -> None:
    assert body_of("identity", b'{"a":[1e400,12345678901234567890123]}') == {
        "a": ["1e400", 12345678901234567890123]
    }


@pytest.mark.parametrize(("encoding", "content"), [
    ("gzip", b'{"a":1}'), ("deflate", b'{"a":1}'), ("gzip", ZIPPED[:-9]),
    ("br", b'{"a":1}'), ("zstd", b"x"), ("gzip, gzip", ZIPPED),
])  # fmt: skip
def test_a_mislabelled_answer_is_no_json(encoding: str, content: bytes) -> None:
    with pytest.raises(TryLater, match="the response to GET /me is not JSON"):
        body_of(encoding, content)


def test_a_small_answer_cannot_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocsync.client.transport.MAX_BODY_BYTES", 100_000)
    bomb = reply("200 OK", gzip.compress(b" " * 10_000_000), "Content-Encoding: gzip")
    with (
        serving(only(b"/v1/", bomb)) as server,
        pytest.raises(TryLater, match="larger than 100,000"),
    ):
        talk(server.url, lambda api: api.get("/me"), max_wait=0.0)


def test_a_mislabelled_answer_to_a_write_leaves_its_effect_open() -> None:
    answer = reply("200 OK", b"{}", "Content-Encoding: gzip")
    with serving(only(b"/v1/", answer)) as server, pytest.raises(LostAnswer, match="not JSON"):
        talk(server.url, lambda api: api.write("PATCH", "/catalogs/C", {}))


def test_a_server_that_was_there_is_waited_for() -> None:
    """Only one that never answered is given up at once: a restart takes longer than a second."""
    refusals = iter([b""] * 5)

    def answer(request: bytes) -> bytes:
        return next(refusals, ME) if request.startswith(b"GET") else platform(request)

    with serving(answer) as server:
        talk(server.url, lambda api: api.get("/me"))
    assert len(server.requests) == 7


@pytest.mark.parametrize("name", ["caf\xe9", "caf\udce9"])
@pytest.mark.parametrize("status", ["429 Too Many", "301 Moved", "200 OK"])
def test_a_header_may_have_any_bytes(name: str, status: str) -> None:
    first = reply(status, b"{}", f"X-Proxy: {name}", f"Location: /{name}", "Retry-After: 0")
    answers = iter([first])

    def answer(request: bytes) -> bytes:
        return next(answers, ME) if request.startswith(b"GET") else platform(request)

    with serving(answer) as server:
        if status.startswith("301"):
            with pytest.raises(TryLater, match="a gateway redirected the request"):
                talk(server.url, lambda api: api.get("/me"))
        else:
            talk(server.url, lambda api: api.get("/me"))


def test_a_broken_answer_is_named_in_plain_words() -> None:
    answer = reply("200 OK", b"{}", f"X-Big: {'x' * 9_000}")
    with (
        serving(only(b"/v1/", answer)) as server,
        pytest.raises(TryLater, match="the response is not valid HTTP"),
    ):
        talk(server.url, lambda api: api.get("/me"), max_wait=0.0)
