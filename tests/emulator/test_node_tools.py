"""Other people's tools of the npm registry, unmodified, against the emulator."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import IO, Any

import httpx
import pytest
import yaml

from tests.builders import HTTP, Shop
from tests.emulator.node_packages import installed

pytestmark = pytest.mark.slow
SECRET = "schlüssel & key"
HERE = Path(__file__).parent
EMPTY_LIST = {"Items": [], "Meta": {"Page": 1, "PageSize": 100, "TotalCount": 0, "TotalPages": 0}}
DECIDED: dict[str, dict[str, Any]] = {}
"""Fields of the seeds that the marketplace decides."""
SEEDING = {"@ordercloud/seeding": "1.1.0", "axios": "1.6.8"}
"""Later versions of axios open a tunnel at a proxy, which would need certificates."""


@contextmanager
def signature_checker(folder: Path) -> Iterator[tuple[str, IO[str]]]:
    """A server that checks signatures: its address, and what it prints."""
    command = ["node", str(HERE / "catalyst.mjs"), str(folder), SECRET]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}", process.stdout
        finally:
            process.kill()


def test_catalyst_accepts_the_signatures(shop: Shop, request: pytest.FixtureRequest) -> None:
    folder = installed(request.config, "catalyst", {"@ordercloud/catalyst": "1.2.0"})
    with signature_checker(folder) as (url, lines):
        target = {"Endpoint": url, "Secret": SECRET}
        config = {"Name": "c", "Enabled": True, "DeliveryTargets": {"Http": target}}
        shop.call("PUT", "/integrations/deliveryconfig/checker", config).raise_for_status()
        sync = {"DeliveryConfigID": "checker", "SyncEntityChanged": True, "SyncEntityDeleted": True}
        shop.call("PUT", "/integrations/entitysync/catalogs", sync).raise_for_status()
        names = ["Sommer", "Größe 42 – ☀ 日本", 'quote " and \\']
        for number, name in enumerate(names):
            shop.call("PUT", f"/catalogs/c{number}", {"Name": name}).raise_for_status()
        checked = [json.loads(lines.readline()) for _ in names]
        assert [row["valid"] for row in checked] == [True] * len(names), checked
        shown = [row["body"]["Payload"] for row in checked]
        assert [entity["Name"] for entity in shown] == names, checked
        body = json.dumps({"type": "forged"})
        HTTP.post(url, content=body, headers={"X-oc-hash": "bm90IHNpZ25lZA=="})
        assert json.loads(lines.readline()) == {"valid": False, "body": {"type": "forged"}}


class Proxy(BaseHTTPRequestHandler):
    """A proxy that stands in for the Portal, and sends all else to the emulator.

    The Portal's API has a marketplace after the tool has saved it. The API description is the
    emulator's, with the *tool*'s paths and models that it does not have; lists of those are empty.
    """

    shop: Shop
    tool: str
    saved: dict[str, Any]
    requests: list[str]

    def _serve(self) -> None:
        url = httpx.URL(self.path)
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size)
        if url.path.startswith("/api/v1/"):
            self._portal(url.path, body)
            return
        self.requests.append(f"{self.command} {url.path}")
        headers = {n: v for n, v in self.headers.items() if n in ("Authorization", "Content-Type")}
        reply = HTTP.request(
            self.command, self.shop.url + url.raw_path.decode(), content=body, headers=headers
        )
        content = reply.content
        if url.path == "/v1/openapi/v3":
            content = self._completed(reply.json())
        elif reply.status_code == 404 and b"there is no GET" in content:
            self._reply(200, json.dumps(EMPTY_LIST).encode())
            return
        self._reply(reply.status_code, content)

    def _completed(self, description: dict[str, Any]) -> bytes:
        paths = re.findall(r'path: "(/[^"]+)"', self.tool)
        models = re.findall(r"modelName: [\'\"](\w+)[\'\"]", self.tool)
        schemas = description["components"]["schemas"]
        description["paths"] = {path: {} for path in paths} | description["paths"]
        description["components"]["schemas"] = {
            model: {"properties": {}} for model in models
        } | schemas
        return json.dumps(description).encode()

    def _portal(self, path: str, body: bytes) -> None:
        if self.command == "PUT":
            self.saved.update(json.loads(body), CoreApiUrl="http://sandbox.invalid")
        if path.endswith("/token"):
            form = {"grant_type": "client_credentials", "client_id": "emulator",
                    "client_secret": "emulator"}  # fmt: skip
            self._reply(200, HTTP.post(self.shop.url + "/oauth/token", data=form).content)
        else:
            self._reply(200 if self.saved else 404, json.dumps(self.saved).encode())

    def _reply(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def proxy(shop: Shop, tool: str) -> Iterator[tuple[str, list[str]]]:
    """A proxy for *shop*: its address, and the requests it has sent there."""
    facts: dict[str, Any] = {"shop": shop, "tool": tool, "saved": {}, "requests": []}
    handler = type("Handler", (Proxy,), facts)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", facts["requests"]
        server.shutdown()
        thread.join()


def test_the_seeding_tool(shop: Shop, request: pytest.FixtureRequest) -> None:
    folder = installed(request.config, "seeding", SEEDING, empty=("fs",))
    package = folder / "node_modules" / "@ordercloud" / "seeding"
    seeds = package / "seeds" / "Variant-Inventory-Records-Example.yml"
    with proxy(shop, (package / "dist" / "index.js").read_text()) as (url, requests):
        done = subprocess.run(
            ["node", str(HERE / "seeding.mjs"), str(folder), str(seeds)], text=True,
            env={**os.environ, "http_proxy": url, "https_proxy": url, "no_proxy": ""},
            capture_output=True, timeout=300, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[:1500]
    report = json.loads(done.stdout.splitlines()[-1])
    assert not [text for text in report["messages"] if text.startswith("0:")], report["messages"]
    assert requests.count("POST /v1/products/product1/variants/generate") == 1
    wanted = yaml.safe_load(seeds.read_text())
    for part, names in wanted.items():
        for name, records in names.items():
            found = report["downloaded"][part][name]
            for record in records:
                facts = (record | DECIDED.get(name, {})).items()
                assert any(shows(row, facts) for row in found), (name, record, found)


def shows(row: dict[str, Any], facts: Iterable[tuple[str, Any]]) -> bool:
    """Whether *row* has *facts*, in members too; where it has more is no matter."""
    return all(
        shows(row.get(name) or {}, value.items()) if isinstance(value, dict)
        else isinstance(value, list) or row.get(name) == value
        for name, value in facts
    )  # fmt: skip
