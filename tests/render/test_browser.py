"""The page of a run in a real browser: it fits, it is read, and it loads nothing."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from ocsync.engine.history import FieldChange
from ocsync.models import PaceSample
from ocsync.render.run_page import html_page
from tests.delivery.listeners import wait_for
from tests.render.test_run_page import details, sample

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
)  # fmt: skip
OVERLAPS = """
(() => {
  const found = [];
  for (const chart of document.querySelectorAll(".chart")) {
    const texts = [...chart.querySelectorAll("text")].map(one => [one.textContent, one.getBoundingClientRect()]);
    for (const [i, [a, one]] of texts.entries())
      for (const [b, two] of texts.slice(i + 1))
        if (one.left < two.right - 1 && two.left < one.right - 1 && one.top + 3 < two.bottom && two.top + 3 < one.bottom)
          found.push(a + " / " + b);
    for (const [a, one] of texts)
      if (one.left < 0 || one.right > innerWidth) found.push(a + " is outside");
  }
  return found;
})()
"""
CONTRAST = """
(() => {
  const number = c => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
  const light = s => { const [r, g, b] = s.match(/[\\d.]+/g).map(Number); return 0.2126 * number(r) + 0.7152 * number(g) + 0.0722 * number(b); };
  const back = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!c.endsWith(", 0)")) return c; } return "rgb(255, 255, 255)"; };
  const found = [];
  for (const e of document.querySelectorAll("p, dt, dd, h1, h2, li, b, small, ins, del, code, th, td, summary, figcaption")) {
    const [a, b] = [light(getComputedStyle(e).color), light(back(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) found.push(e.tagName + " " + e.className + " " + ((a + 0.05) / (b + 0.05)).toFixed(2));
  }
  return [...new Set(found)];
})()
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed"),
]


class Tab:
    """A page of the browser, driven by its DevTools protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.events: list[dict[str, Any]] = []

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        while True:
            message = await self._socket.receive_json(timeout=20)
            if message.get("id") == self._number:
                assert "error" not in message, message
                found: dict[str, Any] = message["result"]
                return found
            self.events.append(message)

    async def value(self, script: str) -> Any:
        result = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def show(self, url: str, width: int, scheme: str, media: str = "") -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.call("Emulation.setEmulatedMedia", features=features, media=media)
        await self.call("Page.navigate", url=url)
        loaded = "new Promise(done => { if (document.readyState === 'complete') done(); else addEventListener('load', done); })"
        await self.value(loaded)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a browser's DevTools."""
    command = [str(BROWSER), *OPTIONS, f"--user-data-dir={tmp_path / 'browser'}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        ready = tmp_path / "browser" / "DevToolsActivePort"
        try:
            wait_for(lambda: ready.exists() and ready.read_text().count("\n"), 30)
            yield int(ready.read_text().split()[0])
        finally:
            process.terminate()


@asynccontextmanager
async def opened(port: int) -> AsyncIterator[Tab]:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/json") as answer:
            targets = json.loads(await answer.text())
        url = next(one["webSocketDebuggerUrl"] for one in targets if one["type"] == "page")
        async with session.ws_connect(url, max_msg_size=0) as socket:
            tab = Tab(socket)
            for domain in ("Page", "Runtime", "Network", "Log"):
                await tab.call(f"{domain}.enable")
            yield tab


def long_run() -> list[PaceSample]:
    """Two hours of work with waves, waits, refusals and a break."""
    samples = []
    for second in range(0, 3500, 5):
        wave = 1 + second // 900
        samples.append(
            sample(
                second if second < 2000 else second + 90, seconds=5.0, wave=wave,
                phase="read" if second < 200 else "verify" if second > 3300 else "send",
                sent=0 if 1000 < second < 1120 else 300 + second % 70 * 10, ended=200,
                failed=second % 13 // 12, throttled=40 if 900 < second < 1000 else 0,
                in_flight=20 + second % 40, window=64, wait=120.0 if second == 1000 else 0.0,
                reason="throttled by OrderCloud" if second == 1000 else "",
            )
        )  # fmt: skip
    return samples


def run_page(folder: Path) -> Path:
    run = details(60, "catalog-name")
    info, pace = run.info, run.pace._replace(samples=long_run())
    arrivals = tuple((round(60 * (n / 100) ** 2, 3), 50 * n) for n in range(1, 101))
    delivery = {"arrived": 5000, "p50": 15.0, "p95": 54.1, "last": 60.0, "first": 0.1}
    changes = {
        n: [FieldChange("Description", "https://x.example/" + "long" * 30, "short"), *c]
        for n, c in run.changes.items()
    }
    info = msgspec.structs.replace(info, arrivals=arrivals, delivery=delivery)
    path = folder / "run.html"
    path.write_text(
        html_page(run._replace(info=info, pace=pace, changes=changes)), encoding="utf-8"
    )
    return path


def test_a_page_in_a_browser(tmp_path: Path, port: int) -> None:
    page = run_page(tmp_path)
    url = page.absolute().as_uri()
    pictures: dict[str, bytes] = {}

    async def look() -> None:
        async with opened(port) as tab:
            for scheme in ("light", "dark"):
                backs = set()
                for width in (400, 800, 1200):
                    await tab.show(url, width, scheme)
                    name = f"{width} px, {scheme}"
                    assert await tab.value("document.documentElement.scrollWidth") <= width, name
                    assert await tab.value(OVERLAPS) == [], name
                    assert await tab.value(CONTRAST) == [], name
                    backs.add(await tab.value("getComputedStyle(document.body).backgroundColor"))
                    shot = await tab.call("Page.captureScreenshot", captureBeyondViewport=True)
                    pictures[f"{scheme}-{width}"] = base64.b64decode(shot["data"])
                assert len(backs) == 1
                [back] = backs
                assert (scheme == "dark") == (int(back.split("(")[1].split(",")[0]) < 60)
            await keyboard(tab)
            await accessible(tab)
            await printed(tab)
            urls = [
                e["params"]["request"]["url"]
                for e in tab.events
                if e["method"] == "Network.requestWillBeSent"
            ]
            assert set(urls) == {url}, "it loads nothing else"
            logged = [
                e["params"]
                for e in tab.events
                if e["method"] in ("Log.entryAdded", "Runtime.consoleAPICalled")
            ]
            assert logged == [], "its own policy refuses nothing of it"

    async def keyboard(tab: Tab) -> None:
        """The numbers can be reached and opened without a pointer."""
        await tab.call(
            "Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9
        )
        assert await tab.value("document.activeElement.tagName") == "SUMMARY"
        for kind in ("keyDown", "keyUp"):
            await tab.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key="Enter",
                code="Enter",
                windowsVirtualKeyCode=13,
                text="\r",
            )
        assert await tab.value("document.querySelector('details').open")

    async def accessible(tab: Tab) -> None:
        """A screen reader gets the charts by name, with their numbers."""
        tree = await tab.call("Accessibility.getFullAXTree")
        named = {
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in tree["nodes"]
            if not node.get("ignored")
        }
        images = sorted(name for role, name in named if role == "image")
        assert [name.split(" ")[0] for name in images] == ["Messages", "Requests", "Requests"]
        assert all(any(char.isdigit() for char in name) for name in images)
        assert any(role == "region" and name == "Numbers of the charts" for role, name in named)

    async def printed(tab: Tab) -> None:
        await tab.show(url, 800, "dark", media="print")
        assert (
            await tab.value("getComputedStyle(document.body).backgroundColor")
            == "rgb(255, 255, 255)"
        )
        pdf = await tab.call("Page.printToPDF", printBackground=True)
        assert base64.b64decode(pdf["data"]).startswith(b"%PDF")

    asyncio.run(look())
    for name, data in pictures.items():
        assert data.startswith(b"\x89PNG"), name
        (tmp_path / f"{name}.png").write_bytes(data)
