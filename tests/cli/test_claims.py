"""Whose a pause is: what was seen ended is not ours any more, and what cannot be told is asked."""

from __future__ import annotations

import tomllib
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from ocsync.models import Delivery
from tests.builders import Shop, csv_of
from tests.cli.test_pause import CONFIG, PAUSES, somebody
from tests.conftest import Run
from tests.crash_points import CrashPoint, crash_resume
from tests.in_process import profile_dir
from tests.intercepting import Answer, Request, intercepting

CATALOGS = "/integrations/entitysync/catalogs"
NOTE = Path(".ocsync/profiles/test/lost-pauses/inventory.toml")


def lifting(run: Run) -> None:
    """What a crash in the middle of an unpause leaves on disk."""
    run("pause", "inventory", "--for", "1h")
    PAUSES.write_text(PAUSES.read_text().replace('phase = "paused"', 'phase = "lifting"'))


def over() -> None:
    """Let the lease run out."""
    PAUSES.write_text(PAUSES.read_text().replace('until = "202', 'until = "200'))


SEEING = ["status", "targets", "doctor", "plan --diff", "resume --dry-run", "expire --dry-run"]


@pytest.mark.quick(2)
@pytest.mark.parametrize("look", SEEING)
@pytest.mark.parametrize("config", ["lifted", "removed"])
def test_a_pause_that_was_seen_ended_is_not_ours_any_more(
    ocsync: Run, shop: Shop, look: str, config: str
) -> None:
    """Commands that only look see it, too, and note it without the lock."""
    [ref] = shop.stock(records=1)
    ocsync("pause", "inventory", "--for", "1h")
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    over()
    kept = PAUSES.read_bytes()
    if config == "lifted":
        somebody(shop, paused=False)
    else:
        shop.call("DELETE", CONFIG)
    ocsync(*look.split())
    assert NOTE.exists()
    assert PAUSES.read_bytes() == kept, "that is written under the lock alone"
    body = {
        "DeliveryConfigID": "emulator-log",
        "SyncEntityChanged": True,
        "SyncEntityDeleted": True,
    }
    shop.call("PUT", CONFIG, {**body, "Paused": True})

    status = ocsync("status", "--json").data
    assert next(t for t in status["targets"] if t["name"] == "inventory")["state"] == (
        "paused_by_other"
    )
    assert (status["drifted"], status["overdue"]) == (["inventory"], [])
    assert ocsync("expire").code == 0
    assert ocsync("unpause", "inventory").code == 7
    assert shop.paused()
    assert ocsync("resume").code == 3, "sent, and held by someone else"
    assert shop.paused()
    assert tomllib.loads(PAUSES.read_text()) == {}
    assert not NOTE.exists()


def test_a_pause_seen_ended_is_still_missed(ocsync: Run, shop: Shop) -> None:
    """Nobody may think that the target was held all the time."""
    [ref] = shop.stock(records=1)
    ocsync("pause", "inventory")
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    somebody(shop, paused=False)
    for _ in range(2):
        assert "unpaused by someone else" in ocsync("status").out
        assert ocsync("status", "--offline", "--exit-code", "--max-age", "4h").code == 2
    assert ocsync("resume").code == 7
    assert ocsync("resume", "--repause").code == 0
    assert not shop.paused()


def test_a_note_is_for_one_pause_alone(ocsync: Run, shop: Shop) -> None:
    ocsync("pause", "inventory")
    somebody(shop, paused=False)
    ocsync("status")
    old = NOTE.read_bytes()
    assert ocsync("pause", "inventory").code == 0
    assert not NOTE.exists()
    NOTE.write_bytes(old)
    assert ocsync("resume").code == 0
    assert not shop.paused()


def test_a_look_beside_a_command_that_pauses(ocsync: Run, shop: Shop) -> None:
    """The server said running, and by then our own pause had begun."""
    somebody(shop, paused=False)

    def hook(request: Request) -> Answer:
        answer = request.forward()
        is_config = request.path.endswith("/products/inventoryrecords")
        if request.method == "GET" and is_config and not shop.paused():
            ocsync("pause", "inventory", "--profile", "test")
        return answer

    with intercepting(shop.url, hook) as url:
        words = ("--api-url", url, "--client-id", "emulator", "--secret-env", "TEST_SECRET")
        assert ocsync("profile", "add", "slow", *words).code == 0
        profiles = Path(".ocsync/profiles")
        (profiles / "slow/pause.toml").symlink_to("../test/pause.toml")
        ocsync("status", "--profile", "slow")
    assert not list(profiles.rglob("lost-pauses/*"))


@pytest.mark.quick(2)
@pytest.mark.parametrize("words", [
    "resume", "unpause inventory", "expire", "pause inventory", "window inventory -- true",
])  # fmt: skip
def test_an_unpause_that_was_cut_off_is_asked_about(ocsync: Run, shop: Shop, words: str) -> None:
    """The target is paused: the request may not have arrived, or someone else paused since."""
    lifting(ocsync)
    over()
    result = ocsync(*words.split())
    assert result.code == 7, result
    assert "it is unknown who paused it" in result.out + result.err
    assert shop.paused()
    assert "ocsync unpause inventory --force" in ocsync("status").out
    assert ocsync("status", "--exit-code").code == 2
    assert ocsync("doctor").code == 7


@pytest.mark.parametrize("words", [
    "unpause inventory --force", "unpause inventory --yes", "resume --yes",
])  # fmt: skip
def test_ways_out_of_an_unpause_that_was_cut_off(ocsync: Run, shop: Shop, words: str) -> None:
    lifting(ocsync)
    assert ocsync(*words.split()).code == 0
    assert (shop.paused(), tomllib.loads(PAUSES.read_text())) == (False, {})


def test_an_unpause_that_was_cut_off_is_adopted(ocsync: Run, shop: Shop) -> None:
    lifting(ocsync)
    assert ocsync("pause", "inventory", "--adopt").code == 0
    [ours] = tomllib.loads(PAUSES.read_text()).values()
    assert (ours["phase"], ours.get("until")) == ("paused", None), "the lease was the other's"
    assert ocsync("resume").code == 0
    assert not shop.paused()


def test_a_run_asks_before_it_writes(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    lifting(ocsync)
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    assert (ocsync("resume").code, shop.writes()) == (7, [])
    assert ocsync("resume", "--yes").code == 0
    assert not shop.paused()


def test_a_refused_unpause_leaves_a_plain_pause(ocsync: Run, shop: Shop) -> None:
    ocsync("pause", "inventory")
    shop.faults({"method": "PATCH", "path": "inventoryrecords", "status": 403, "code": "InsufficientRole"})  # fmt: skip
    assert ocsync("unpause", "inventory").code == 4
    shop.faults()
    assert ocsync("unpause", "inventory").code == 0
    assert not shop.paused()


@pytest.mark.parametrize(("status", "code"), [(403, 4), (400, 3)])
def test_a_pause_of_several_that_is_refused_in_part(
    ocsync: Run, shop: Shop, status: int, code: int
) -> None:
    shop.faults({"method": "PATCH", "path": "products/inventoryrecords", "status": status})
    result = ocsync("pause", "catalogs", "inventory")
    assert result.code == code, result
    assert "catalogs is now paused" in result.err
    assert "next: ocsync unpause catalogs" in result.err
    assert list(tomllib.loads(PAUSES.read_text())) == ["catalogs"], "nothing is left in doubt"
    assert "catalogs" not in ocsync("pause", "inventory").err


def test_a_resume_whose_second_pause_is_refused(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    shop.seed(catalog=[{"ID": "C", "Name": "C"}])
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    ocsync("stage", "set", "catalog/C", "Name=D")
    shop.faults({"method": "PATCH", "path": "products/inventoryrecords", "status": 403})
    result = ocsync("resume")
    assert (result.code, "catalogs is now paused" in result.err) == (4, True), result
    assert shop.writes() == []


def test_adopting_says_who_can_still_unpause(ocsync: Run, shop: Shop) -> None:
    ocsync("pause", "inventory", "--for", "1h")
    rest = ("--api-url", shop.url, "--client-id", "emulator", "--secret-env", "TEST_SECRET")
    ocsync("profile", "add", "second", *rest)
    adopted = ocsync("pause", "inventory", "--adopt", "--profile", "second")
    assert "ocsync unpause inventory --leave-paused" in adopted.err
    before = len(shop.requests())
    assert ocsync("unpause", "inventory", "--leave-paused").code == 0
    assert len(shop.requests()) == before
    assert tomllib.loads(PAUSES.read_text()) == {}
    assert shop.paused()
    assert ocsync("unpause", "inventory", "--profile", "second").code == 0
    assert not shop.paused()


@pytest.mark.quick(2)
@pytest.mark.parametrize("whose", ["ours", "the run's", "someone else's"])
@pytest.mark.parametrize("listens", [True, False])
def test_a_pause_that_ends_in_the_middle_of_a_replay(
    ocsync: Run, shop: Shop, whose: str, listens: bool
) -> None:
    refs = shop.stock(records=12)
    rows = csv_of([("ref", "QuantityAvailable"), *((ref, 9) for ref in refs)])
    ocsync("stage", "import", "-", stdin=rows)
    if whose == "ours":
        ocsync("pause", "inventory")
    elif whose == "someone else's":
        somebody(shop, paused=True)
    if listens:
        payload = {"ID": "R0", "ProductID": "P0", "QuantityAvailable": 9}
        message = {"at": "2999-01-01T00:00:00+00:00", "payload": payload,
                   "namespace": "sitecore.ordercloud.messages.entitysync.inventoryrecord.updated"}  # fmt: skip
        profile_dir().delivery_log.append([Delivery(**message)])  # type: ignore[arg-type]
    shop.faults({"method": "PATCH", "path": "inventoryrecords/R", "after": 4, "times": 1, "action": "unpause"})  # fmt: skip
    result = ocsync("resume", "--concurrency", "1")
    assert result.code == 7, result
    assert "up to 12 changes of inventory may have been delivered one by one" in result.out
    assert ("(the listener received 1)" in result.out) is listens
    assert len(shop.writes()) == 12
    assert ocsync("status", "--json").data["last_run"]["exit_code"] == 7


@pytest.mark.quick(1)
@pytest.mark.parametrize("pauses", [False, True])
def test_a_config_that_is_deleted_in_the_middle_of_a_replay(
    ocsync: Run, shop: Shop, pauses: bool
) -> None:
    refs = shop.stock(records=4)
    rows = csv_of([("ref", "QuantityAvailable"), *((ref, 9) for ref in refs)])
    written = 0

    def hook(request: Request) -> Answer:
        nonlocal written
        written += request.method == "PATCH" and "/inventoryrecords/R" in request.path
        if written == 2:
            shop.call("DELETE", CONFIG)
            written += 100
        return request.forward()

    with intercepting(shop.url, hook) as url:
        assert ocsync("profile", "edit", "test", "--api-url", url).code == 0
        ocsync("stage", "import", "-", stdin=rows)
        if pauses:
            assert ocsync("pause", "inventory").code == 0
        result = ocsync("resume", "--concurrency", "1")
    assert result.code == 78, result
    assert "! inventory  no longer had a sync config" in result.out
    text = "sent, but partly without a sync config: up to 4 changes of inventory may not be"
    assert text in result.out
    assert "next: ocsync delivery bind inventory CONFIG, then ocsync resync --run" in result.err
    assert "sync config missing" in ocsync("history").out
    assert (len(shop.writes()), tomllib.loads(PAUSES.read_text())) == (4, {})
    last = ocsync("status", "--offline", "--json").data["last_run"]
    assert last["exit_code"] == 78
    report = Xml.fromstring(ocsync("history", last["id"], "--report", "junit", "-").out)
    [suite] = report
    assert (suite.get("tests"), suite.get("failures")) == ("5", "1")
    assert [f.get("message") for f in suite.iter("failure")] == ["sync config missing"]


def test_someone_elses_pause_that_ends_between_two_parts_of_a_run(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=3)
    rows = csv_of([("ref", "QuantityAvailable"), *((ref, 9) for ref in refs)])
    ocsync("stage", "import", "-", stdin=rows)
    somebody(shop, paused=True)
    crash_resume(shop, CrashPoint("request", moment="after"))
    somebody(shop, paused=False)
    result = ocsync("resume")
    assert (result.code, "up to 3 changes of inventory" in result.out) == (7, True), result
    assert not shop.paused()
