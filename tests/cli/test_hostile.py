"""A server that lies, stalls or babbles.

Whatever comes: one clear message, a right exit code, no traceback, and nothing half done.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.builders import Result
from tests.conftest import SECRET, Run

Reply = Callable[[str, str], tuple[int, bytes]]
TOKEN = b'{"access_token": "aaa.bbb.ccc", "expires_in": 600, "token_type": "bearer"}'
ME = b'{"ID": "u", "Username": "u", "Seller": {"ID": "emulator"}}'
NO_ITEMS = b'{"Meta": {"TotalPages": 0, "TotalCount": 0}, "Items": []}'
SHAPES: list[bytes] = [
    b"null", b"5", b'"x"', b"[]", b"{}", b"[1]", b'{"Items": 5}', b'{"Items": [5]}', b'{"Items": [null]}', b'{"Items": {}}',
    b'{"Meta": [], "Items": []}', b'{"Meta": {"TotalPages": "x"}, "Items": [{}]}', b'{"Items": [{"ID": 5}], "Meta": null}',
    b'{"DeliveryConfigID": 5, "Paused": "yes"}', b'{"DeliveryConfigID": ["x"], "Paused": 1}', b'{"ID": null, "xp": 5, "Inventory": []}',
    b'{"Meta": {"TotalCount": "x"}, "Items": []}', b'{"xp": {"a": "b"}, "Inventory": "x", "QuantityAvailable": "many"}',
    b'{"Errors": 5}', b'{"Errors": [5]}', b'{"Seller": 5}', b'{"Seller": {"ID": {}}}', b"", b"<html>", b"\xff\xfe", b'{"a": ' * 5000,
    b'{"xp": ' * 400 + b"1" + b"}" * 400, b'{"DeliveryConfigID": "x", "a": ' + b"[" * 90 + b"]" * 90 + b"}", b'{"QuantityAvailable": 1' + b"0" * 400 + b"}",
]  # fmt: skip
COMMANDS: list[tuple[str, ...]] = [
    ("status",), ("targets",), ("profile", "check"), ("pause", "catalogs"), ("unpause", "inventory"), ("plan", "--diff"), ("resume", "--verify"),
    ("delete", "catalog/C", "--yes"), ("resync", "products", "--catalog", "C", "--yes"), ("verify",), ("expire",),
]  # fmt: skip


class Liar:
    """A server that answers as it is told; every request's path is kept."""

    def __init__(self) -> None:
        self.reply: Reply = lambda verb, path: (404, b"")
        self.seen: list[str] = []
        self.echoes = ""
        self.verbs: tuple[str, ...] = ("GET", "POST")
        liar = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _any(self) -> None:
                came = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                liar.seen.append(f"{self.command} {self.path}")
                status, body = (
                    (200, TOKEN) if "/oauth/" in self.path else liar.reply(self.command, self.path)
                )
                if liar.echoes and liar.echoes in self.path and self.command in liar.verbs:
                    text = f"{self.headers} {came.decode()}"
                    one = {"ErrorCode": "Echo", "Message": text, "Data": {"got": [text]}}
                    status = 400
                    body = json.dumps(
                        {"error": text, "error_description": text, "Errors": [one]}
                    ).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_PATCH = do_POST = do_DELETE = _any  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def liar() -> Iterator[Liar]:
    one = Liar()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def deceived(run: Run, liar: Liar, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A workspace whose profile leads to the liar, with an edit of each sort staged."""
    monkeypatch.setattr("ocsync.engine.pause.pausing.CONFIRM_SECONDS", 0.1)
    run("init")
    run("profile", "add", "test", "--api-url", liar.url, "--client-id", "x", "--secret-env", SECRET)
    for words in (
        ("set", "inventory/P/R", "QuantityAvailable=5"), ("set", "product/P2", "Inventory.QuantityAvailable=1", "xp.a.b=1"),
        ("assign", "catalog-product/C/P"), ("adjust", "inventory/P/R2", "QuantityAvailable+=1"), ("set", "buyer-user/B/U", "Active=false"),
    ):  # fmt: skip
        assert run("stage", *words).code == 0
    return run


def fair(result: Result, what: Any) -> None:
    """An outcome for an operator: no surprise of ours, one message, a code that means it."""
    assert "unexpected:" not in result.err, (what, result.err)
    assert "Traceback" not in result.err, (what, result.err)
    assert result.code in (0, 1, 3, 4, 5, 6, 7, 64, 65, 66, 75, 78), (what, result)
    assert result.code == 0 or result.err.strip() or result.out.strip(), what


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    "words", [("status",), ("resume", "--verify"), ("verify",)], ids=lambda words: words[0]
)
def test_answers_of_any_shape(deceived: Run, liar: Liar, words: tuple[str, ...]) -> None:
    babble(deceived, liar, words, SHAPES[::5])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("words", COMMANDS, ids=[w[0] for w in COMMANDS])
def test_answers_of_every_shape(deceived: Run, liar: Liar, words: tuple[str, ...]) -> None:
    babble(deceived, liar, words, SHAPES)


def babble(deceived: Run, liar: Liar, words: tuple[str, ...], shapes: list[bytes]) -> None:
    """Every answer but the sign-in is of a shape that nobody expects."""
    wait = ("--max-wait", "0", "--settle", "0") if words[0] == "resume" else ()
    for shape in shapes:
        liar.reply = lambda verb, path, shape=shape: (200, ME if path == "/v1/me" else shape)  # type: ignore[misc]
        fair(deceived(*words, *wait), shape)
        liar.reply = lambda verb, path, shape=shape: (200, shape)  # type: ignore[misc]
        fair(deceived(*words, *wait), shape)
    for status in (400, 403, 404, 409, 418):
        for shape in shapes[::4]:
            liar.reply = lambda verb, path, a=(status, shape): (200, ME) if path == "/v1/me" else a  # type: ignore[misc]
            fair(deceived(*words, *wait), (status, shape))


def test_a_list_without_an_end(deceived: Run, liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocsync.client.api._MAX_PAGES", 40)
    page = b'{"Meta": {"TotalPages": 999999}, "Items": [{"ID": "x", "CatalogID": "D", "ProductID": "Q"}]}'
    liar.reply = lambda verb, path: (200, ME if path == "/v1/me" else page)
    result = deceived("resync", "products", "--catalog", "C", "--yes")
    assert (result.code, "do not end" in result.err) == (75, True), result


def test_a_body_without_measure(deceived: Run, liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ocsync.client.transport.MAX_BODY_BYTES", 100_000)
    liar.reply = lambda verb, path: (200, b" " * 300_000)
    result = deceived("resume", "--max-wait", "0", "--settle", "0")
    assert (result.code, "larger than 100,000 bytes" in result.err) == (75, True), result


@pytest.mark.slow
def test_a_sign_in_of_any_shape(deceived: Run, liar: Liar, monkeypatch: pytest.MonkeyPatch) -> None:
    for shape in [
        *SHAPES,
        b'{"access_token": 5}',
        b'{"access_token": "x", "expires_in": "soon"}',
        b'{"access_token": "x", "expires_in": -5}',
    ]:
        monkeypatch.setattr("tests.cli.test_hostile.TOKEN", shape)
        liar.reply = lambda verb, path: (200, ME)
        fair(deceived("profile", "check"), shape)
        fair(deceived("status"), shape)


HOOK = """
[[deliveries]]
ID = "hook"
Name = "hook"
[deliveries.DeliveryTargets.Http]
Endpoint = "http://127.0.0.1:9"
Secret = { env = "HOOK" }
"""


@pytest.mark.parametrize("echoes", ["/oauth", "/me", "/v1/"])
def test_a_server_that_repeats_what_it_was_sent(
    deceived: Run, liar: Liar, monkeypatch: pytest.MonkeyPatch, echoes: str
) -> None:
    """Neither the secret nor a token comes back to the eye in an error, whatever form it has."""
    secret = 'hunter-2 "&%=ü+'
    monkeypatch.setenv(SECRET, secret)
    liar.reply = lambda verb, path: (200, ME)
    liar.echoes = echoes
    Path("hook.toml").write_text(HOOK)
    monkeypatch.setenv("HOOK", "hunter of hooks")
    apply = ("delivery", "apply", "hook.toml", "--yes")
    for words in (
        ("status",),
        ("status", "--json"),
        ("resume",),
        ("resume", "--json", "-v"),
        apply,
    ):
        result = deceived(*words)
        fair(result, words)
        assert result.code in (1, 4), result
        assert "(hidden)" in result.err + result.out
        for form in ("hunter", "aaa.bbb.ccc"):
            assert form not in result.err + result.out, (words, form)
    for path in Path.cwd().rglob("*"):
        assert not path.is_file() or b"hunter" not in path.read_bytes(), path


def test_a_delivery_secret_that_is_repeated(
    deceived: Run, liar: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("hook.toml").write_text(HOOK)
    monkeypatch.setenv("HOOK", "hunter of hooks")
    found = b'{"ID": "hook", "Name": "other", "Enabled": true, "DeliveryTargets": {}}'
    liar.reply = lambda verb, path: (200, ME) if path == "/v1/me" else (200, found)
    liar.echoes, liar.verbs = "/deliveryconfig", ("PATCH", "PUT", "POST")
    result = deceived("delivery", "apply", "hook.toml", "--yes")
    assert (result.code, "(hidden)" in result.err) == (1, True), result
    assert "hunter" not in result.err + result.out
