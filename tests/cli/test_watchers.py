"""`--notify` and `--metrics`: what is told at the end, and that it never harms the work."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsync.client import Limits, webhook
from ocsync.errors import ConfigError, Interrupted
from tests.builders import Shop
from tests.conftest import Run
from tests.json_schemas import checker

OLD = Path(__file__).parents[1] / "old_workspace/workspace"
GUIDE = Path(__file__).parents[2] / "ocsync/guide/watching.md"
REF, MISSING = "inventory/P0/R0", "inventory/P0/R9"


class Hook(ThreadingHTTPServer):
    """A webhook: what it was sent, and what it answers."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[dict[str, Any]] = []
        self.answer = 200
        self.delay = 0.0
        self.url = f"http://127.0.0.1:{self.server_port}/secret-path"


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        assert self.headers["Content-Type"] == "application/json"
        self.server.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        time.sleep(self.server.delay)
        self.send_response(self.server.answer)
        self.send_header("Location", f"{self.server.url}/elsewhere")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    with Hook() as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        monkeypatch.setenv("OCSYNC_NOTIFY", server.url)
        yield server
        server.shutdown()


@pytest.fixture
def stock(ocsync: Run, shop: Shop) -> Run:
    shop.stock(records=1, products=1)
    return ocsync


def test_the_end_of_a_run_is_told(stock: Run, hook: Hook) -> None:
    stock("stage", "set", REF, "QuantityAvailable=4711")
    result = stock("resume", "--notify", "--yes")
    assert result.code == 0, result
    [body] = hook.bodies
    assert checker("notification")(body, "body") == ""
    [run] = (path.name for path in Path(".ocsync/profiles/test/runs").iterdir())
    assert body["text"] == (
        f"ocsync resume · test · Emulated marketplace: run {run}: complete: 1 edit in 1 request, "
        + body["text"].rpartition(", ")[2]
    )
    assert (body["command"], body["run"], body["exit_code"], body["error"]) == (
        "resume",
        run,
        0,
        None,
    )
    assert "4711" not in json.dumps(body), "values are nobody's business"


def test_nothing_is_told_of_nothing(stock: Run, hook: Hook) -> None:
    assert stock("resume", "--notify").code == 0
    assert stock("status", "--notify").code == 0
    assert stock("expire", "--notify").code == 0
    stock("stage", "set", REF, "QuantityAvailable=4")
    assert stock("resume", "--notify", "--dry-run").code == 0
    assert hook.bodies == []


def test_a_partly_done_run_is_told_with_its_pauses(stock: Run, hook: Hook) -> None:
    stock("stage", "set", REF, "QuantityAvailable=4")
    stock("stage", "set", MISSING, "QuantityAvailable=4")
    result = stock("resume", "--notify", "--yes")
    [body] = hook.bodies
    assert (result.code, body["exit_code"], body["targets"]) == (3, 3, ["inventory"])
    assert body["text"].endswith("; inventory stays paused (exit 3)")


def test_a_failure_is_told(stock: Run, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    stock("stage", "set", REF, "QuantityAvailable=4")
    monkeypatch.setenv("TEST_SECRET", "wrong-secret-value")
    for command in ("resume", "status"):
        assert stock(command, "--notify").code == 4
    assert [body["error"] for body in hook.bodies] == ["SignInError"] * 2
    assert all("failed: " in body["text"] for body in hook.bodies)
    assert "wrong-secret-value" not in json.dumps(hook.bodies)


def test_a_fault_of_ours_is_told_too(
    stock: Run, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("ocsync.cli.status.show_status", fail)
    assert stock("status", "--offline", "--notify").code == 1
    [body] = hook.bodies
    assert (body["error"], body["exit_code"]) == ("RuntimeError", 1)


def age_pause(**facts: str) -> None:
    path = Path(".ocsync/profiles/test/pause.toml")
    text = path.read_text(encoding="utf-8")
    for name, value in facts.items():
        text = re.sub(rf"^{name} = .*$", f'{name} = "{value}"', text, flags=re.MULTILINE)
    path.write_text(text, encoding="utf-8")


def test_a_forgotten_pause_is_told(stock: Run, hook: Hook) -> None:
    assert stock("pause", "inventory", "--for", "2h").code == 0
    age_pause(since="2026-01-01T00:00:00+00:00", until="2026-01-01T02:00:00+00:00")
    assert stock("status", "--notify").code == 0
    assert stock("status", "--offline", "--notify").code == 0
    assert stock("expire", "--notify").code == 0
    online, offline, expired = hook.bodies
    assert online["text"] == offline["text"]
    assert "inventory has been paused for " in online["text"]
    assert online["targets"] == expired["targets"] == ["inventory"]
    assert "inventory was forgotten and is unpaused after " in expired["text"]


def test_an_old_pause_is_told_by_age(stock: Run, hook: Hook) -> None:
    assert stock("pause", "inventory").code == 0
    age_pause(since="2026-01-01T00:00:00+00:00")
    stock("status", "--offline", "--notify")
    assert hook.bodies == []
    stock("status", "--offline", "--notify", "--max-age", "4h")
    assert "longer than --max-age" in hook.bodies[0]["text"]


@pytest.mark.parametrize(("answer", "told"), [
    (500, "the webhook responded with 500"), (404, "the webhook responded with 404"), (302, "the webhook responded with 302"),
])  # fmt: skip
def test_a_refused_message_is_a_warning(stock: Run, hook: Hook, answer: int, told: str) -> None:
    hook.answer = answer
    stock("stage", "set", REF, "QuantityAvailable=4")
    result = stock("resume", "--notify", "--yes", "--json")
    assert (result.code, len(hook.bodies)) == (0, 1), "it is sent once, and followed nowhere"
    assert f"the message was not sent: {told}" in result.err
    assert "secret-path" not in result.out + result.err


def test_a_webhook_that_hangs_is_left(hook: Hook) -> None:
    hook.delay = 5
    start = time.monotonic()
    assert webhook.send(hook.url, {"text": "x"}, seconds=0.2) in (
        "no response within 0 s", "cannot reach the webhook: timed out", "cannot use the webhook: TimeoutError",
    )  # fmt: skip
    assert time.monotonic() - start < 2


def test_a_webhook_that_is_gone_is_a_warning(stock: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OCSYNC_NOTIFY", f"http://127.0.0.1:{free.getsockname()[1]}/")
    stock("stage", "set", REF, "QuantityAvailable=4")
    result = stock("resume", "--notify", "--yes")
    assert result.code == 0
    assert "cannot reach the webhook: Connection refused" in result.err


@pytest.mark.parametrize(("url", "told"), [
    (None, "--notify needs the URL of a webhook"),
    ("hooks.example/x", "does not hold a URL"),
    ("ftp://hooks.example/s3cret", "does not hold a URL"),
    ("http://hooks.example/s3cret", "plain http"),
    ("https://", "does not hold a URL"),
    ("http://[::1/s3cret", "does not hold a URL"),
])  # fmt: skip
def test_a_wrong_address_stops_before_the_work(
    stock: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch, url: str | None, told: str
) -> None:
    if url:
        monkeypatch.setenv("OCSYNC_NOTIFY", url)
    stock("stage", "set", REF, "QuantityAvailable=4")
    before = shop.counts()
    result = stock("resume", "--notify", "--yes")
    assert result.code == 78
    assert told in result.err
    assert "s3cret" not in result.err
    assert shop.counts() == before, "nothing was sent"


def test_the_profile_names_the_variable(
    stock: Run, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OCSYNC_NOTIFY")
    monkeypatch.setenv("TEAM_HOOK", hook.url)
    assert stock("profile", "edit", "--notify-env", "TEAM_HOOK").code == 0
    assert stock("profile", "show", "--json").data["notify_env"] == "TEAM_HOOK"
    stock("stage", "set", REF, "QuantityAvailable=4")
    assert stock("resume", "--notify", "--yes").code == 0
    assert len(hook.bodies) == 1
    monkeypatch.setenv("TEAM_HOOK", "")
    assert "environment variable TEAM_HOOK is empty" in stock("status", "--notify").err


FACTS = {"command": "resume"}


@pytest.mark.parametrize(("url", "keys"), [
    ("https://hooks.slack.com/services/x", {"text"}),
    ("https://acme.webhook.office.com/webhookb2/x", {"type", "attachments"}),
    ("https://prod-1.westeurope.logic.azure.com:443/workflows/x", {"type", "attachments"}),
    ("https://0a.1b.environment.api.powerplatform.com/powerautomate/x", {"type", "attachments"}),
    ("https://example.com/slack.com", {"text", "command"}),
    ("https://notslack.com/", {"text", "command"}),
])  # fmt: skip
def test_each_host_gets_its_form(url: str, keys: set[str]) -> None:
    body = webhook.body_for(url, "a <!channel> & b", FACTS)
    assert body.keys() == keys
    told = body["text"] if "text" in body else body["attachments"][0]["content"]["body"][0]["text"]
    assert told == ("a &lt;!channel&gt; &amp; b" if "slack.com/s" in url else "a <!channel> & b")


@settings(max_examples=40)
@given(st.text())
def test_any_address_is_checked(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert webhook.check_url(text, "X") == text
        assert text.casefold().startswith(("https://", "http://"))


def gauges(path: str = "m.prom") -> dict[str, float]:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"
    }


def test_metrics_show_the_local_state(stock: Run) -> None:
    stock("pause", "catalogs", "--for", "1h")
    stock("stage", "set", REF, "QuantityAvailable=4")
    stock("stage", "set", MISSING, "QuantityAvailable=4")
    assert stock("status", "--offline", "--metrics", "m.prom").code == 0
    found = gauges()
    assert found['ocsync_staged_entries{profile="test"}'] == 2
    assert found['ocsync_paused_targets{profile="test"}'] == 1
    assert found['ocsync_overdue_pauses{profile="test"}'] == 0
    assert found['ocsync_command_exit_code{profile="test",command="status"}'] == 0
    assert (
        abs(
            found['ocsync_pause_start_timestamp_seconds{profile="test",target="catalogs"}']
            - time.time()
        )
        < 60
    )
    assert not [name for name in found if "last_run" in name]
    assert stock("resume", "--yes", "--metrics", "m.prom").code == 3
    found = gauges()
    assert found['ocsync_last_run_exit_code{profile="test"}'] == 3
    assert found['ocsync_last_run_steps{profile="test",outcome="done"}'] == 1
    assert found['ocsync_last_run_steps{profile="test",outcome="failed"}'] == 1
    assert found['ocsync_staged_refs{profile="test"}'] == 1
    assert found['ocsync_command_exit_code{profile="test",command="resume"}'] == 3
    assert (Path("m.prom").stat().st_mode & 0o777 == 0o644) == (os.name == "posix")
    listed = set(re.findall(r"^\| `(ocsync_\w+)`", GUIDE.read_text(encoding="utf-8"), re.MULTILINE))
    assert {name.partition("{")[0] for name in found} == listed, "the page lists them all"


def test_metrics_have_the_format(stock: Run) -> None:
    stock("stage", "set", REF, "QuantityAvailable=4")
    stock("resume", "--yes", "--metrics", "m.prom")
    lines = Path("m.prom").read_text(encoding="utf-8").splitlines()
    sample = re.compile(r'(ocsync_[a-z_]+)\{[a-z]+="[^"\\]*"(,[a-z]+="[^"\\]*")*\} -?\d+(\.\d+)?')
    known: list[str] = []
    for line in lines:
        if line.startswith("# TYPE "):
            assert line.endswith(" gauge")
            known.append(line.split()[2])
        elif not line.startswith("# HELP "):
            match = sample.fullmatch(line)
            assert match, line
            assert match[1] == known[-1]
    assert len(known) == len(set(known)) >= 10


def test_a_run_that_is_not_finished_has_no_exit_code(run: Run) -> None:
    shutil.copytree(OLD, ".ocsync")
    assert run("status", "--offline", "--metrics", "m.prom").code == 0
    found = gauges()
    assert found['ocsync_unfinished_runs{profile="acme"}'] == 3
    assert found['ocsync_overdue_pauses{profile="acme"}'] == 2
    assert not [name for name in found if "last_run" in name]


def test_metrics_are_written_for_a_failure(stock: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_SECRET", "wrong-secret-value")
    stock("stage", "set", REF, "QuantityAvailable=4")
    assert stock("resume", "--metrics", "m.prom").code == 4
    assert gauges()['ocsync_command_exit_code{profile="test",command="resume"}'] == 4
    assert stock("expire", "--metrics", "m.prom").code == 0
    assert gauges()['ocsync_command_exit_code{profile="test",command="expire"}'] == 0


def test_metrics_that_cannot_be_written_are_a_warning(stock: Run) -> None:
    result = stock("status", "--offline", "--metrics", "nowhere/m.prom")
    assert result.code == 0
    assert "the metrics were not written: nowhere/m.prom: No such file" in result.err


def test_metrics_go_to_a_file_alone(stock: Run) -> None:
    stock("stage", "set", REF, "QuantityAvailable=4711")
    result = stock("resume", "--metrics", "-")
    assert (result.code, "--metrics writes a file" in result.err) == (64, True), result
    assert not Path("-").exists()
    assert stock("stage", "list", "--json").data["staged_entries"], "nothing was sent"


def while_watching(monkeypatch: pytest.MonkeyPatch, *acts: Callable[[], object]) -> None:
    """Do one of *acts* in place of each wait of `status --watch`, and interrupt the last one."""
    rest = iter(acts)

    async def nap(stop: object, seconds: float) -> None:
        if seconds == 5:  # the retries of a request sleep too, for less
            wait()

    def wait(seconds: float = 0.0) -> None:
        act = next(rest, None)
        if act is None:
            raise Interrupted("interrupted")
        act()

    monkeypatch.setattr("ocsync.cli.context._nap", nap)
    monkeypatch.setattr("ocsync.cli.status_watch.time", SimpleNamespace(sleep=wait))


def test_status_is_shown_again_when_it_changes(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/integrations/entitysync/products/inventoryrecords"

    def pause() -> None:
        shop.call("PATCH", path, {"Paused": True})

    while_watching(monkeypatch, lambda: None, pause, lambda: None)
    events = ocsync("status", "--watch", "--json").events
    paused = [sum(target["paused"] for target in event["targets"]) for event in events]
    assert paused == [0, 1]
    while_watching(monkeypatch, lambda: None, lambda: None)
    result = ocsync("status", "--watch", "--offline", "--interval", "1m")
    assert (result.code, result.out.count("staged  "), result.err) == (0, 1, ""), result


def test_a_server_that_is_away_is_watched_on(
    ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Limits.__new__, "__defaults__", (16, 0.0, 0.0, 45.0, 10.0))
    away = {"action": "reset", "times": 1000}
    acts = (lambda: shop.faults(away), lambda: None, lambda: shop.faults(), lambda: None)
    while_watching(monkeypatch, *acts)
    result = ocsync("status", "--watch")
    assert (result.code, result.out.count("10 targets running")) == (0, 2), result
    assert result.err.count("; trying again") == 1, result


@pytest.mark.parametrize("words", [
    ("--interval", "5s"), ("--watch", "--exit-code"), ("--watch", "--notify"),
    ("--watch", "--interval", "0s"), ("--watch", "--interval", "5"),
])  # fmt: skip
def test_what_watching_excludes(ocsync: Run, words: tuple[str, ...]) -> None:
    assert ocsync("status", *words).code == 64
