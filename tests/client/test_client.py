"""The client against a server that misbehaves."""

from __future__ import annotations

import asyncio
import contextvars
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import parse_qs

import aiohttp
import httpx
import pytest

from ocsync.client import (
    Api,
    Connection,
    Limits,
    open_client,
    read_current,
    request_sync,
    set_paused,
)
from ocsync.client.sync_configs import read_target
from ocsync.client.transport import Server
from ocsync.emulator import EmulatorOptions, serve_in_thread
from ocsync.errors import (
    AlreadyExists,
    ApiError,
    ConfigError,
    LostAnswer,
    NotApplied,
    NotFound,
    OcsyncError,
    RoleMissing,
    SignInError,
    TryLater,
)
from ocsync.events import Event, Waiting
from ocsync.schema import TARGETS
from tests.builders import Shop

T = TypeVar("T")


def talk(
    url: str,
    task: Callable[[Api], Awaitable[T]],
    *,
    secret: str = "emulator",
    client: str = "emulator",
    max_wait: float = 60.0,
    timeout: float = 5.0,
    connect: float = 5.0,
    concurrency: int = 16,
    heard: list[Event] | None = None,
) -> T:
    """Do *task* with a client that waits in no time."""

    async def nap(seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))

    async def go() -> T:
        limits = Limits(concurrency, max_wait=max_wait, timeout=timeout, connect=connect)
        emit = heard.append if heard is not None else (lambda event: None)
        connection = Connection(url, url, client, lambda: secret)
        async with open_client(connection, limits=limits, emit=emit, sleep=nap) as api:
            return await task(api)

    return asyncio.run(go())


def test_sign_in_tells_who_and_where(shop: Shop) -> None:
    who = talk(shop.url, lambda api: api.identity())
    assert (who.marketplace, who.username, who.roles) == ("emulator", "emulator", ("FullAccess",))


@pytest.mark.parametrize(("client", "secret", "code"), [
    ("nobody", "emulator", "ApiClient.InvalidClientID"),
    ("emulator", "s3cr3t-x", "Auth.InvalidUsernameOrPassword"),
])  # fmt: skip
def test_a_refused_sign_in_has_a_code_and_shows_no_secret(
    shop: Shop, client: str, secret: str, code: str
) -> None:
    with pytest.raises(SignInError) as caught:
        talk(shop.url, lambda api: api.identity(), client=client, secret=secret)
    assert caught.value.code == code
    assert secret not in caught.value.message


def test_a_token_is_renewed_once_for_all_after_a_401(shop: Shop) -> None:
    async def go(api: Api) -> None:
        await api.get("/me")
        shop.emulator.tokens.revoke_all()
        await asyncio.gather(*(api.get("/me") for _ in range(20)))

    talk(shop.url, go)
    assert len([r for r in shop.requests() if r["path"] == "/oauth/token"]) == 2


def test_a_sign_in_does_not_wait_for_those_that_wait_for_it(shop: Shop) -> None:
    """The only slot belongs to a turn, whose first request needs the token of another's sign-in."""

    async def go(api: Api) -> None:
        async with asyncio.timeout(5):
            started = asyncio.Event()

            async def other() -> None:
                await started.wait()
                await api.get("/me")

            signing_in = asyncio.create_task(other())
            async with api.turn(lambda: 1):
                started.set()
                await asyncio.sleep(0)
                await api.get("/me")
                shop.emulator.tokens.revoke_all()
                await api.get("/me")
            await signing_in

    talk(shop.url, go, concurrency=1)
    paths = [r["path"] for r in shop.requests()]
    assert paths.index("/v1/me") > paths.index("/oauth/token")


def test_a_turn_lasts_over_a_refused_token(shop: Shop) -> None:
    """What is built on the value of its read still follows it without queueing."""

    async def go(api: Api) -> None:
        await api.get("/me")
        shop.emulator.tokens.revoke_all()
        async with api.turn(lambda: 1):
            await api.get("/me")
            queued = asyncio.create_task(api.get("/buyers"), context=contextvars.Context())
            await asyncio.sleep(0)
            await api.get("/catalogs")
        await queued

    talk(shop.url, go, concurrency=1)
    paths = [r["path"] for r in shop.requests() if r["status"] == 200]
    assert paths == [
        "/oauth/token", "/v1/me", "/oauth/token", "/v1/me", "/v1/catalogs", "/v1/buyers",
    ]  # fmt: skip


def test_a_token_is_renewed_before_it_ends() -> None:
    with serve_in_thread(EmulatorOptions(token_lifetime=1)) as emulator:

        async def go(api: Api) -> None:
            for pause in (0.4, 0.7, 0):
                await api.get("/me")
                await asyncio.sleep(pause)

        talk(emulator.url, go)
        statuses = [r["status"] for r in emulator.emulator.requests]
    assert set(statuses) == {200}, "no 401 was needed to notice"


@pytest.mark.parametrize("fault", [
    {"status": 429}, {"status": 429, "retry_after": 0.3}, {"status": 503}, {"status": 500},
    {"status": 502, "action": "html"}, {"status": 408}, {"action": "cut"},
])  # fmt: skip
def test_what_passes_is_tried_again(shop: Shop, fault: dict[str, Any]) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "x"}])
    shop.faults({**fault, "path": "/catalogs/C", "times": 3})
    reply = talk(shop.url, lambda api: api.write("PATCH", "/catalogs/C", {"Name": "y"}))

    assert (reply.status, reply.attempts) == (200, 4)
    assert reply.body["Name"] == "y"


@pytest.mark.parametrize("fault", [
    {"status": 500}, {"status": 504, "effect": True}, {"action": "cut"},
])  # fmt: skip
def test_a_write_that_may_not_be_repeated_is_sent_once(shop: Shop, fault: dict[str, Any]) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "x"}])
    shop.faults({**fault, "path": "/catalogs/C", "times": 3})
    with pytest.raises(LostAnswer):
        talk(
            shop.url, lambda api: api.write("PATCH", "/catalogs/C", {"Name": "y"}, repeatable=False)
        )
    assert len(shop.writes()) == 1


def test_a_write_built_on_a_read_is_not_repeated_when_refused(shop: Shop) -> None:
    """Its value is old by the time that the server takes requests again."""
    shop.seed(catalog=[{"ID": "C", "Name": "x"}])
    shop.faults({"status": 429, "retry_after": 2, "path": "/catalogs/C", "times": 2})
    with pytest.raises(NotApplied) as refused:
        talk(
            shop.url, lambda api: api.write("PATCH", "/catalogs/C", {"Name": "y"}, repeatable=False)
        )
    assert refused.value.seconds == 2
    assert len(shop.writes()) == 1


def test_waiting_has_an_end_and_is_told(shop: Shop) -> None:
    shop.faults({"status": 429, "retry_after": 30, "path": "/me", "times": 99})
    heard: list[Event] = []
    with pytest.raises(TryLater):
        talk(shop.url, lambda api: api.get("/me"), max_wait=20.0, heard=heard)
    shop.faults({"status": 503, "retry_after": 1.1, "path": "/me", "times": 1})
    talk(shop.url, lambda api: api.get("/me"), heard=heard)
    assert next(event.seconds for event in heard if isinstance(event, Waiting)) >= 1


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("asked", "most"), [("3600", 40), ("inf", 400), ("nan", 400), ("-5", 400), ("0", 400)]
)
def test_no_wait_is_longer_than_the_operator_allows(asked: str, most: int) -> None:
    """Whatever the server asks for: the one it refused, and all who wait for their turn, give up."""
    refusal = http("429 Too Many Requests", b"", f"Retry-After: {asked}")

    async def go(url: str) -> list[BaseException | dict[str, Any] | None]:
        connection = Connection(url, url, "c", lambda: "s")
        async with open_client(connection, limits=Limits(max_wait=0.4)) as api:
            async with asyncio.timeout(4):
                return await asyncio.gather(
                    *(api.get("/me") for _ in range(40)), return_exceptions=True
                )

    with raw_server(refusal) as (url, seen):
        answers = asyncio.run(go(url))
    assert all(isinstance(answer, TryLater) for answer in answers)
    assert len(seen) <= most, "and the server is not asked again and again meanwhile"
    if asked == "3600":
        assert "asked to wait 3,600 s" in str(answers[0])


def test_a_slow_pace_of_our_own_is_no_wait(shop: Shop) -> None:
    """A request that stood in line for its turn still has all its tries before it."""
    shop.faults({"status": 503, "path": "/me", "rate": 0.3})
    haste = 40.0

    async def nap(seconds: float) -> None:
        await asyncio.sleep(seconds / haste)

    async def go() -> list[Any]:
        connection = Connection(shop.url, shop.url, "emulator", lambda: "emulator")
        async with open_client(
            connection, limits=Limits(max_rate=2.0, max_wait=20.0), sleep=nap,
            now=lambda: time.monotonic() * haste,
        ) as api:  # fmt: skip
            asked = (api.get("/me") for _ in range(60))
            answers: list[Any] = await asyncio.gather(*asked, return_exceptions=True)
        return answers

    assert not [answer for answer in asyncio.run(go()) if isinstance(answer, BaseException)]


def test_a_delete_that_was_done_by_a_lost_attempt_is_done(shop: Shop) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "x"}])
    shop.faults({"status": 500, "effect": True, "path": "/catalogs/C", "method": "DELETE"})
    assert talk(shop.url, lambda api: api.delete("/catalogs/C")).status == 204
    with pytest.raises(NotFound):
        talk(shop.url, lambda api: api.delete("/catalogs/C"))


def test_errors_are_typed(shop: Shop) -> None:
    with pytest.raises(NotFound) as missing:
        talk(shop.url, lambda api: api.get("/catalogs/C"))
    assert missing.value.data == {"ObjectType": "Catalog", "ObjectID": "C"}
    shop.seed(catalog=[{"ID": "C", "Name": "x"}])
    with pytest.raises(AlreadyExists):
        talk(shop.url, lambda api: api.write("POST", "/catalogs", {"ID": "C", "Name": "x"}))
    with pytest.raises(ApiError, match="ValidationFailure"):
        talk(shop.url, lambda api: api.write("PUT", "/catalogs/D", {}))


def test_a_missing_role_is_named(shop: Shop) -> None:
    shop.seed(clients=[{"ID": "reader", "Secret": "s", "Roles": ["CatalogReader"]}])
    with pytest.raises(RoleMissing, match="CatalogAdmin"):
        talk(shop.url, lambda api: api.write("PUT", "/catalogs/C", {"Name": "x"}),
             client="reader", secret="s")  # fmt: skip


def test_a_body_may_begin_with_a_bom(shop: Shop) -> None:
    shop.faults({"action": "bom", "path": "/me"})
    me: Any = talk(shop.url, lambda api: api.get("/me"))
    assert me["Seller"]["ID"] == "emulator"


def test_an_answer_that_is_no_json_is_not_taken_for_one(shop: Shop) -> None:
    shop.faults({"action": "html", "path": "/me", "times": 9})
    with pytest.raises(TryLater, match="not JSON"):
        talk(shop.url, lambda api: api.get("/me"))


@contextmanager
def raw_server(answer: bytes, *, close: bool = True) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers every request with *answer*, and keeps what it was sent."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                other, _ = listener.accept()
            except OSError:
                return
            with other:
                while data := other.recv(65536):
                    seen.append(data)
                    if not answer:
                        break
                    other.sendall(TOKEN if b"/oauth/token" in data else answer)
                    if close and b"/oauth/token" not in data:
                        break

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    listener.close()


def http(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


TOKEN = http(
    "200 OK", b'{"access_token":"a.b.c","expires_in":600}', "Content-Type: application/json"
)


def test_a_redirect_is_an_error_and_the_token_stays_home(shop: Shop) -> None:
    with raw_server(http("302 Found", b"", f"Location: {shop.url}/v1/me")) as (url, _):
        before = len(shop.requests())
        with pytest.raises(TryLater, match="a gateway redirected the request to"):
            talk(url, lambda api: api.get("/me"))
    assert len(shop.requests()) == before


def test_a_dropped_connection_is_not_silently_sent_again() -> None:
    """Sending twice is ours to decide: the first answer never came, and PATCH was marked so."""
    with raw_server(b"x", close=True) as (url, seen):
        with pytest.raises(LostAnswer):
            talk(url, lambda api: api.write("PUT", "/catalogs/C", {}, repeatable=False))
        assert len([data for data in seen if b"PUT" in data]) == 1


def test_a_silent_server_times_out() -> None:
    with raw_server(b"") as (url, _), pytest.raises(TryLater):
        talk(url, lambda api: api.get("/me"), timeout=0.2, max_wait=1.0)


def test_nobody_there_is_try_again_later() -> None:
    with pytest.raises(TryLater, match=r"cannot connect to 127\.0\.0\.1:9 \(connection refused\)"):
        talk("http://127.0.0.1:9", lambda api: api.get("/me"), max_wait=600)


def test_every_transport_error_has_a_translation() -> None:
    """Whatever httpx can raise on the way becomes one of ours."""
    from ocsync.client.retry import RetryTransport
    from ocsync.client.slots import GateClosed

    def tree(kind: type[Exception]) -> Iterator[type[Exception]]:
        yield kind
        for below in kind.__subclasses__():
            yield from tree(below)

    class Broken(httpx.AsyncBaseTransport):
        def __init__(self, error: Exception) -> None:
            self.error = error

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise self.error

    async def nap(seconds: float) -> None:
        return None

    for kind in {*tree(httpx.TransportError)} - {GateClosed}:
        transport = RetryTransport(
            Broken(kind("x")), max_wait=0.0, emit=lambda e: None, sleep=nap, now=lambda: 0.0
        )
        request = httpx.Request("GET", "http://127.0.0.1")
        with pytest.raises(OcsyncError):
            asyncio.run(transport.handle_async_request(request))


@pytest.mark.parametrize("error", [OSError(), ConnectionResetError(), aiohttp.ClientError()])
def test_an_error_without_a_word_has_one(error: Exception) -> None:
    """What aiohttp lets through, with and without a text."""
    from ocsync.client.pacing import Pacer
    from ocsync.client.throttle import ThrottleTransport

    class Broken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise error

    transport = ThrottleTransport(Broken(), Pacer(4), attempt_seconds=1.0, emit=lambda e: None,
                                  sleep=asyncio.sleep, now=lambda: 0.0)  # fmt: skip
    with pytest.raises(httpx.TransportError, match=type(error).__name__):
        asyncio.run(transport.handle_async_request(httpx.Request("GET", "http://127.0.0.1")))


def test_paths_and_queries_arrive_as_they_are(shop: Shop) -> None:
    async def go(api: Api) -> None:
        await api.get("/catalogs", {"ID": "a|b c&d=\u00fc", "sortBy": "!ID"})
        for path in ("/catalogs/a b", "/catalogs/%C3%BC", "/catalogs/a'b?x=1"):
            with pytest.raises(NotFound):
                await api.get(path)
        with suppress(NotFound):
            await api.get("/buyers/B?x=1", {"y": "2"})

    talk(shop.url, go)
    asked = [(r["path"].removeprefix("/v1"), r["query"]) for r in shop.requests()][1:]
    assert [path for path, _ in asked] == [
        "/catalogs", "/catalogs/a b", "/catalogs/\u00fc", "/catalogs/a'b", "/buyers/B",
    ]  # fmt: skip
    assert parse_qs(asked[0][1]) == {"ID": ["a|b c&d=\u00fc"], "sortBy": ["!ID"]}
    assert [query for _, query in asked[3:]] == ["x=1", "x=1&y=2"]


@pytest.mark.parametrize(("url", "target"), [
    ("http://[::1]:8080", "http://[::1]:8080/v1/catalogs/a%20b?ID=x%7Cy"),
    ("https://b\u00fccher.example/oc/", "https://xn--bcher-kva.example/oc/v1/catalogs/a%20b?ID=x%7Cy"),
])  # fmt: skip
def test_a_target_is_the_whole_url(url: str, target: str) -> None:
    request = Server(url, "/v1").request("GET", "/catalogs/a b", {"ID": "x|y"}, None, {})
    assert str(request.target) == target
    assert request.target.host == httpx.URL(url).host


def test_an_assignment_is_deleted_by_its_query(shop: Shop) -> None:
    shop.seed(
        buyer=[{"ID": "B", "Name": "B"}, {"ID": "C", "Name": "C"}],
        catalog=[{"ID": "K", "Name": "K"}],
        **{"catalog-assignment": [{"CatalogID": "K", "BuyerID": buyer} for buyer in "BC"]},
    )
    talk(shop.url, lambda api: api.delete("/catalogs/K/assignments?buyerID=B"))
    answer = shop.call("GET", "/catalogs/assignments?catalogID=K").json()
    assert [item["BuyerID"] for item in answer["Items"]] == ["C"]


def test_pages_are_walked_to_the_end(shop: Shop) -> None:
    """By number to page 30, by the last ID beyond."""
    shop.seed(catalog=[{"ID": f"C{n:05}", "Name": "x"} for n in range(3250)])

    async def go(api: Api) -> list[str]:
        return [item["ID"] async for page in api.pages("/catalogs") for item in page]

    assert talk(shop.url, go) == [f"C{n:05}" for n in range(3250)]


def test_a_list_that_does_not_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from ocsync.client import api as module

    monkeypatch.setattr(module, "_MAX_PAGES", 20)
    body = b'{"Meta":{"TotalPages":9999999},"Items":[{"X":1}]}'
    with raw_server(http("200 OK", body)) as (url, _):

        async def go(api: Api) -> None:
            async for _ in api.pages("/catalogs"):
                pass

        with pytest.raises(TryLater, match="do not end"):
            talk(url, go)


def test_many_refs_are_read_with_few_requests(shop: Shop) -> None:
    shop.stock(records=300, products=3)
    shop.seed(
        buyer=[{"ID": "B", "Name": "B"}], catalog=[{"ID": "C", "Name": "C"}],
        category=[{"CatalogID": "C", "ID": "K", "Name": "K"},
                  {"CatalogID": "C", "ID": "K2", "Name": "K2", "ParentID": "K"}],
        **{"product-assignment": [{"ProductID": "P0", "BuyerID": "B", "PriceScheduleID": "x"},
                                  {"ProductID": "P0", "BuyerID": "B", "UserGroupID": "G"}]},
    )  # fmt: skip
    refs = [f"inventory/P{n % 3}/R{n}" for n in range(300)]
    others = ["inventory/NONE/R", "inventory/P0/NONE", "category/C/K2", "product/P1",
              "catalog/NONE", *(f"product-assignment/P0/B{g}" for g in ("", "/G", "/H"))]  # fmt: skip

    async def go(api: Api) -> dict[str, Any]:
        return {ref: found async for ref, found in read_current(api, [*refs, *others])}

    found = talk(shop.url, go)
    missing = {ref for ref, document in found.items() if document is None}

    assert len(found) == 308
    assert missing == {
        "inventory/NONE/R",
        "inventory/P0/NONE",
        "catalog/NONE",
        "product-assignment/P0/B/H",
    }
    assert found["product-assignment/P0/B"]["PriceScheduleID"] == "x"
    assert found["product-assignment/P0/B/G"]["UserGroupID"] == "G"
    reads = [r for r in shop.requests() if r["path"].startswith("/v1")]
    assert len(reads) < 20
    assert all(len(r["query"]) < 2000 for r in reads)


def test_a_ref_that_may_not_be_read_comes_with_its_error(shop: Shop) -> None:
    shop.seed(clients=[{"ID": "reader", "Secret": "s", "Roles": ["CatalogReader"]}])

    async def go(api: Api) -> list[Any]:
        return [found async for _, found in read_current(api, ["buyer/B"])]

    [found] = talk(shop.url, go, client="reader", secret="s")
    assert isinstance(found, RoleMissing)


@pytest.mark.parametrize("mode", ["404", "empty"])
def test_a_missing_config_is_none_whichever_way_it_is_told(mode: Any) -> None:
    with serve_in_thread(EmulatorOptions(missing_config=mode)) as emulator:
        state = talk(emulator.url, lambda api: read_target(api, TARGETS["inventory"]))
    assert not state.exists


def test_pausing_sends_one_field(shop: Shop) -> None:
    talk(shop.url, lambda api: set_paused(api, TARGETS["suppliers"], paused=True))
    assert shop.requests()[-1]["body"] == '{"Paused":true}'
    assert shop.paused("/integrations/entitysync/suppliers")


def test_a_sync_request_without_a_config_says_so(shop: Shop) -> None:
    shop.call("DELETE", "/integrations/entitysync/suppliers")
    with pytest.raises(ConfigError, match="not enabled"):
        talk(shop.url, lambda api: request_sync(api, TARGETS["suppliers"], {"SupplierID": "S"}))


def test_signing_in_in_vain_is_not_tried_by_everybody_in_turn() -> None:
    """Who waited for a token that did not come does not wait for another one as long again."""

    async def go() -> list[BaseException | dict[str, Any] | None]:
        connection = Connection("http://127.0.0.1:9", "http://127.0.0.1:9", "c", lambda: "s")
        async with open_client(connection, limits=Limits(max_wait=0.3)) as api:
            async with asyncio.timeout(2):
                return await asyncio.gather(
                    *(api.get("/me") for _ in range(30)), return_exceptions=True
                )

    answers = asyncio.run(go())
    assert all(isinstance(answer, TryLater) for answer in answers)
    assert "cannot connect to 127.0.0.1:9" in str(answers[0])


def test_a_token_that_lasts_for_ever_is_a_token(shop: Shop) -> None:
    body = b'{"access_token":"a.b.c","expires_in":1%s}' % (b"0" * 400)
    with (
        raw_server(http("200 OK", b'{"Seller":{"ID":"m"}}')) as (url, _),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("tests.client.test_client.TOKEN", http("200 OK", body))
        assert talk(url, lambda api: api.identity()).marketplace == "m"
