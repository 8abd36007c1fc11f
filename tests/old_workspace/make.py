"""Makes the workspace that an earlier version left, for `tests/test_old_workspace.py`.

    python -m tests.old_workspace.make

The real command line writes it against an emulator, in processes of their own, some of which are
killed. Each function below is an hour of a working day. What is only true of the machine and the
moment is then replaced: stamps, run and window names, host, process IDs. The result:

    workspace/         the .ocsync folder; its .gitignore is kept as `gitignore`
    plan.json          what `plan --out` saved at the end
    marketplace.json   the marketplace at that moment, as an emulator's seed

Run it with the version whose formats are to be kept, and only to add a state that no fixture has
yet: the older the files, the more they prove. Made again, durations and the order of concurrent
records differ.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from ocsync.emulator import EmulatorOptions, serve_in_thread
from ocsync.store.log import decode_line, encode_line
from tests.builders import Shop
from tests.crash_points import CrashPoint, crash
from tests.processes import Done, Started, call

HERE = Path(__file__).parent
PORT, LISTENER_PORT = 8765, 8766
"""Fixed, as the first stands in the profiles; a test puts its own in their place."""
URL = f"http://127.0.0.1:{PORT}"
HOST, PID = "warehouse", "4711"
PROFILE = Path(".ocsync/profiles/acme")
RECORD = "/products/{}/inventoryrecords/shelf"

PRODUCTS = ("tent", "lamp", "stove", "rope", "boots", "compass")
PLACE = {"Street1": "1 Quay", "City": "Hamburg", "Country": "DE"}
TARGETS = (
    "products", "catalogs", "categories", "inventory", "buyers", "usergroups", "buyer-users",
    "suppliers", "supplier-users",
)  # fmt: skip
"""All but `admin-users`, which has no sync config."""
SEED: dict[str, Any] = {
    "marketplace": "acme",
    "name": "Acme Outdoors",
    "deliveries": [
        {
            "ID": "erp", "Name": "the ERP", "Enabled": True,
            "DeliveryTargets": {
                "Kafka": {
                    "BootstrapServers": "kafka.example:9093", "Topic": "erp",
                    "SaslUsername": "erp", "SaslPassword": "real",
                }
            },
        },
        *(
            {"ID": name, "Name": name.upper(), "Enabled": True,
             "DeliveryTargets": {"EventHub": {"EventHubName": name, "ConnectionString": "real"}}}
            for name in ("crm", "pim")
        ),
    ],
    "targets": {
        name: {"DeliveryConfigID": {"buyers": "crm", "suppliers": "pim"}.get(name, "erp")}
        for name in TARGETS
    },
    "address": [{"ID": name, **PLACE} for name in ("wh-1", "wh-2", "wh-9")],
    "supplier": [{"ID": "north", "Name": "North"}],
    "catalog": [{"ID": n, "Name": n.title()} for n in ("spring", "winter", "old", "fall")],
    "price-schedule": [{"ID": "list", "Name": "List", "MinQuantity": 5, "MaxQuantity": 9}],
    "buyer": [{"ID": "eu", "Name": "Europe", "Active": True, "DefaultCatalogID": "spring"}],
    "category": [
        {"CatalogID": "spring", "ID": "shoes", "Name": "Shoes", "Active": True},
        {"CatalogID": "old", "ID": "all", "Name": "All"},
    ],
    "product": [
        {"ID": name, "Name": name.title(), "Active": True, "Inventory": {"Enabled": True}}
        for name in PRODUCTS
    ],
    "usergroup": [{"BuyerID": "eu", "ID": "staff", "Name": "Staff"}],
    "buyer-user": [
        {"BuyerID": "eu", "ID": "ann", "Username": "ann", "FirstName": "Ann", "LastName": "B",
         "Email": "ann@example.com", "Active": True}
    ],
    "inventory": [
        {"ProductID": name, "ID": "shelf", "AddressID": "wh-1", "QuantityAvailable": 10}
        for name in PRODUCTS
    ],
    "catalog-product": [
        {"CatalogID": "old", "ProductID": "rope"}, {"CatalogID": "spring", "ProductID": "tent"},
    ],
}  # fmt: skip


class Clock:
    """The hours of the story, and when each was really played."""

    def __init__(self) -> None:
        self._hours: list[tuple[datetime, datetime]] = []

    def begin(self, hour: str) -> None:
        """Begin *hour* at a full second, as some stamps have no fraction."""
        time.sleep(1 - time.time() % 1 + 0.01)
        now = datetime.now(UTC).replace(microsecond=0)
        self._hours.append((now, datetime.fromisoformat(hour).replace(tzinfo=UTC)))

    def shifted(self, moment: datetime) -> datetime:
        """Return *moment* as the story has it; one before the story stays."""
        past = [(real, hour) for real, hour in self._hours if real <= moment]
        return past[-1][1] + (moment - past[-1][0]) if past else moment


def ocsync(*words: str, code: int = 0, **env: str) -> Done:
    """Run a command to its end, which must be *code*."""
    done = call(*words, **env)
    assert done.code == code, (words, done)
    return done


def dying(point: CrashPoint, *words: str) -> None:
    """Run a command that kills itself at *point*."""
    crashed = crash(*words, at=point)
    assert crashed.code == -9, (words, crashed)


def killed(*words: str, when: Callable[[], object], **env: str) -> None:
    """Run a command, and kill it *when* that holds."""
    with Started(*words, **env) as process:
        _wait_for(when, process)
        process.kill()
        assert process.wait().code == -9


@contextmanager
def listening(*words: str) -> Iterator[None]:
    """Run `ocsync listen WORDS...` for the time of the block."""
    with Started("listen", *words, "--json") as process:
        _wait_for(lambda: "\n" in process.said()[0], process)
        try:
            yield
        finally:
            process.signal(2)
            done = process.wait()
        assert done.code == 0, done


def _wait_for(holds: Callable[[], object], process: Started) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert process.lives, process.said()
        assert time.monotonic() < end, process.said()
        time.sleep(0.02)


def lines(path: Path) -> list[Any]:
    """Return the complete lines of a log."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(one) for one in text.splitlines(keepends=True) if one.endswith("\n")]


def open_run(sort: str) -> Path | None:
    """Return the folder of the run of *sort* that is not finished."""
    for record in PROFILE.glob("runs/*/run.json"):
        facts = json.loads(record.read_bytes())
        if (facts["state"], facts["sort"]) == ("open", sort):
            return record.parent
    return None


def newest() -> str:
    """Return the name of the run that was begun last."""
    return str(json.loads(ocsync("history", "--json").out)["runs"][0]["id"])


def came_to(sort: str, **counts: int) -> Callable[[], bool]:
    """Return a test whether the open run of *sort* has so many records of each type."""

    def holds() -> bool:
        folder = open_run(sort)
        seen = [one["type"] for one in lines(folder / "outcomes.jsonl")] if folder else []
        return {name: seen.count(name) for name in counts} == counts

    return holds


def hang(method: str, path: str, *, effect: bool, after: int = 0) -> dict[str, Any]:
    """Return a fault: no answer comes; whether the request takes effect is *effect*."""
    fault = {"method": method, "path": path, "action": "hang", "seconds": 30, "after": after}
    return fault if effect else {**fault, "status": 503}


def stage(*rows: str) -> None:
    """Stage an entry a row, which is a command line; ~ is a space inside a word."""
    for row in rows:
        ocsync("stage", *(word.replace("~", " ") for word in row.split()))


def play(clock: Clock, shop: Shop) -> None:
    """Play the whole story, whose first day has begun."""
    profiles()
    clock.begin("2025-03-03T09:00")
    a_stocktake_that_was_delivered()
    clock.begin("2025-03-03T17:00")
    what_others_changed_since(shop)
    clock.begin("2025-03-04T09:00")
    a_run_whose_messages_are_missing()
    clock.begin("2025-03-05T09:00")
    deletes()
    clock.begin("2025-03-06T09:00")
    ocsync("resync", "inventory", "tent/shelf", "lamp/shelf", "rope/none", code=3)
    clock.begin("2025-03-07T09:00")
    a_run_that_ended_in_every_way(shop)
    clock.begin("2025-03-08T09:00")
    an_undo_that_was_not_verified()
    clock.begin("2025-03-10T08:00")
    listeners_that_were_to_change()
    pauses(shop)
    clock.begin("2025-03-10T09:00")
    a_run_that_is_cut_off(shop)
    clock.begin("2025-03-10T09:30")
    shop.faults(hang("DELETE", "/catalogs/fall", effect=True))
    words = ("delete", "catalog/fall", "address/wh-9", "--concurrency", "1", "--yes")
    killed(*words, when=lambda: came_to("delete", intent=1)() and is_gone(shop, "/catalogs/fall"))
    shop.faults()
    clock.begin("2025-03-10T10:00")
    staged_edits()
    ocsync("plan", "--out", "plan.json")
    clock.begin("2025-03-10T11:00")
    job = "https://ci.example/jobs/7"
    ocsync("pause", "products", "--for", "2h", "--reason", "spring prices", BUILD_URL=job)
    ocsync("pause", "buyers", "--for", "9000d")
    shop.faults(hang("POST", "inventoryrecords/sync", effect=True, after=1))
    words = ("resync", "inventory", "tent/shelf", "boots/shelf", "--concurrency", "1")
    killed(*words, when=came_to("resync", outcome=1), BUILD_URL=job)


def profiles() -> None:
    """Make four profiles, one of each way to a secret and to a marketplace."""
    ocsync("init")
    client = ("--client-id", "emulator")
    ocsync("profile", "add", "acme", "--api-url", URL, *client, "--secret-env", "ACME_SECRET",
           "--marketplace", "acme")  # fmt: skip
    ocsync("profile", "add", "vault", "--api-url", URL, *client, "--production",
           "--secret-command", "echo emulator")  # fmt: skip
    ocsync("profile", "add", "lab", "--api-url", "http://lab.example:8080", "--secret-keyring",
           "--allow-http", "lab.example", *client)  # fmt: skip
    ocsync("profile", "add", "sandbox", "--environment", "useast-sandbox", *client,
           "--secret-env", "ACME_SECRET")  # fmt: skip
    ocsync("profile", "check")


def a_stocktake_that_was_delivered() -> None:
    """Resume and verify an import while a listener receives; one entry stays staged."""
    stage("set supplier/north Name=Northern")
    rows = [f"inventory/{name}/shelf,{20 + n},10" for n, name in enumerate(PRODUCTS, 1)]
    text = "\n".join(["ref,QuantityAvailable,expect.QuantityAvailable", *rows])
    Path("counts.csv").write_text(text + "\n")
    with listening("http", "--port", str(LISTENER_PORT), "--secret-env", "LISTENER"):
        ocsync("delivery", "attach", "inventory", "products", "--secret-env", "LISTENER",
               "--endpoint", f"http://127.0.0.1:{LISTENER_PORT}/")  # fmt: skip
        ocsync("pause", "inventory", "--reason", "stocktake")
        ocsync("stage", "import", "counts.csv")
        stage("set product/tent Description=One~room")
        ocsync("resume", "inventory", "products", "--verify")
    ocsync("delivery", "detach")


def receive_one_message_twice() -> None:
    """Read the same place of a Kafka topic with two listeners, one after the other."""
    cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "x", "log_level": 0})
    [broker] = cluster.list_topics(timeout=10).brokers.values()
    servers = f"{broker.host}:{broker.port}"
    writer = Producer({"bootstrap.servers": servers, "log_level": 0})
    kind = "sitecore.ordercloud.messages.entitysync.catalog.updated"
    writer.produce("sync", b'{"ID":"winter"}', headers={"type": kind})
    assert writer.flush(10) == 0
    for times in (1, 2):
        with listening("kafka", "--servers", servers, "--topic", "sync", "--since", "1h"):
            deadline = time.monotonic() + 20
            while sum("origin" in one for one in lines(PROFILE / "delivery.jsonl")) < times:
                assert time.monotonic() < deadline
                time.sleep(0.05)


def what_others_changed_since(shop: Shop) -> None:
    """Verify the run again, with a finding of each sign; one record cannot be read."""
    shop.call("PATCH", RECORD.format("tent"), {"QuantityAvailable": 18})
    shop.call("PATCH", RECORD.format("lamp"), {"QuantityAvailable": 40})
    shop.call("DELETE", RECORD.format("compass"))
    shop.faults({"path": "/products/stove/inventoryrecords", "status": 400, "times": 9})
    ocsync("verify", newest(), code=5)
    shop.faults()
    record = {"AddressID": "wh-1", "QuantityAvailable": 26}
    shop.call("PUT", RECORD.format("compass"), record)


def a_run_whose_messages_are_missing() -> None:
    """Attach a listener where nobody answers, and leave it attached; its messages are missing."""
    ocsync("delivery", "attach", "products", "catalogs", "--secret-env", "LISTENER",
           "--endpoint", "https://listener.example/ocsync")  # fmt: skip
    stage(
        "set catalog/winter Description=Warm~things",
        "set product/compass Description=With~a~mirror",
        "put address/depot Street1=2~Quay City=Hamburg Country=DE",
        "set product/boots ShipFromAddressID=depot",
        "assign catalog-product/winter/boots",
    )
    with listening("http", "--port", str(LISTENER_PORT), "--secret-env", "LISTENER"):
        words = ("resume", "catalogs", "products", "--verify", "--delivery-timeout", "0.5s")
        ocsync(*words, code=5)
    receive_one_message_twice()


def deletes() -> None:
    """Delete what has staged edits, some of which are dropped; one delete is refused."""
    stage("set category/old/all Name=Everything", "put catalog/old Name=Old~again")
    ocsync("delete", "catalog/old", "catalog/none", "address/wh-1", "--yes", code=3)
    ocsync("stage", "drop", "catalog/old")


def a_run_that_ended_in_every_way(shop: Shop) -> None:
    """Have steps done, failed, blocked, in conflict and, after a kill, unknown."""
    stage(
        "put address/wh-3 Street1=3~Pier City=Newark Country=US",  # the US need a state
        "set inventory/stove/shelf AddressID=wh-3",
        "set inventory/rope/shelf NotificationPoint=4",
        "set inventory/rope/shelf QuantityAvailable=30 --expect NotificationPoint=5",
        "adjust inventory/boots/shelf QuantityAvailable+=2",
        "put inventory/compass/shelf AddressID=wh-1 QuantityAvailable=27 --replace"
        " --expect QuantityAvailable=26",
    )
    shop.faults(hang("PATCH", RECORD.format("boots"), effect=True))
    words = ("resume", "inventory", "--on-conflict", "skip")
    killed(*words, when=came_to("resume", intent=3, outcome=3))
    shop.faults()
    shop.call("PATCH", RECORD.format("boots"), {"QuantityAvailable": 77})
    ocsync(*words, code=6)
    ocsync("stage", "drop", "address/wh-3", "inventory/rope/shelf", "inventory/boots/shelf")
    ocsync("unpause", "inventory")


def an_undo_that_was_not_verified() -> None:
    """Undo a run, and kill that before its verification; then stage the undo of the undo."""
    ocsync("rollback", next(one.name for one in PROFILE.glob("runs/*") if has_made(one)))
    dying(CrashPoint("config", 3, "after"), "resume", "catalogs", "products", "--verify")
    ocsync("unpause", "catalogs", "products")
    ocsync("rollback", newest())


def has_made(run: Path) -> bool:
    """Return whether *run* created the depot."""
    plan = lines(run / "plan.jsonl")
    return any(one["method"] == "PUT" and one["path"] == "/addresses/depot" for one in plan)


def listeners_that_were_to_change() -> None:
    """Attach two listeners; kill the move of one and the end of the other before the request."""
    attach = ("delivery", "attach", "--secret-env", "LISTENER")
    ocsync(*attach, "buyers", "--endpoint", "https://listener.example/crm")
    ocsync(*attach, "suppliers", "--endpoint", "https://listener.example/pim")
    moved = ("buyers", "--endpoint", "https://listener.example/moved")
    dying(CrashPoint("config", 6), *attach, *moved)
    dying(CrashPoint("config"), "delivery", "detach", "suppliers")


def pauses(shop: Shop) -> None:
    """Make a pause of each kind; two are cut off, one is lifted by someone else."""
    shop.call("PATCH", "/integrations/entitysync/suppliers", {"Paused": True})
    ocsync("pause", "suppliers", "--adopt")
    ocsync("pause", "catalogs")
    shop.call("PATCH", "/integrations/entitysync/catalogs", {"Paused": False})
    dying(CrashPoint("config", 1, "after"), "pause", "usergroups")
    ocsync("pause", "buyer-users")
    dying(CrashPoint("config"), "unpause", "buyer-users")
    script = "touch ran; while [ ! -e go ]; do sleep 0.02; done"
    words = ("window", "categories", "--reason", "price import", "--", "sh", "-c", script)
    killed(*words, when=Path("ran").exists)
    Path("go").touch()


def a_run_that_is_cut_off(shop: Shop) -> None:
    """Kill a run with three requests under way, of which one has taken effect."""
    stage(
        "adjust inventory/tent/shelf QuantityAvailable+=5",
        "set inventory/lamp/shelf QuantityAvailable=20 --expect QuantityAvailable=40",
        "adjust inventory/rope/shelf QuantityAvailable+=3",
        "put inventory/rope/annex AddressID=wh-2 QuantityAvailable=7",
        "put address/wh-3 Street1=3~Pier City=Newark Country=US State=NJ Zip=07101",
    )
    shop.faults(
        hang("PATCH", RECORD.format("tent"), effect=True),
        hang("PATCH", RECORD.format("lamp"), effect=False),
        hang("PUT", "/addresses/wh-3", effect=False),
    )

    def cut() -> bool:
        stock = shop.get(RECORD.format("tent"))["QuantityAvailable"]
        return stock == 23 and came_to("resume", intent=5, outcome=2)()

    killed("resume", "inventory", "--verify", when=cut)


def is_gone(shop: Shop, path: str) -> bool:
    """Return whether there is nothing at *path*."""
    return shop.call("GET", path).status_code == 404


def staged_edits() -> None:
    """Stage edits of every op, import some, and drop one."""
    stage(
        "set catalog/spring Name=Spring~2025 xp.season.code=S25 Description:=null",
        "set catalog/spring Active=true",
        "put address/wh-4 Street1=4~Quay City=Hamburg Country=DE",
        "put price-schedule/list Name=List MinQuantity=2 --replace",
        "adjust price-schedule/list MinQuantity+=1",
        "put category/spring/hats Name=Hats ParentID=shoes Active=true",
        "adjust inventory/tent/shelf QuantityAvailable+=1",
        "assign catalog-assignment/spring/eu ViewAllCategories=true ViewAllProducts=false",
        "assign product-assignment/tent/eu/staff PriceScheduleID=list",
        "set inventory/boots/shelf QuantityAvailable=60 --expect QuantityAvailable=77",
        'set buyer-user/eu/ann xp.badge:={"no":7} --expect Active=true',
        "set catalog/winter xp.note=wrong",
    )
    text = "ProductID,InventoryRecordID,NotificationPoint,OrderCanExceed\n"
    Path("late.csv").write_text(text + "compass,shelf,3,true\nstove,shelf,\\N,\n")
    ocsync("stage", "import", "late.csv", "--kind", "inventory")
    wrong = [e for e in staged("catalog/winter") if "xp.note" in e["fields"]]
    ocsync("stage", "drop", *(str(e["seq"]) for e in wrong))


def staged(ref: str) -> list[Any]:
    """Return the staged entries of *ref*."""
    found: list[Any] = json.loads(ocsync("stage", "show", ref, "--json").out)["entries"]
    return found


class Neutral:
    """Text without what is true of this machine and this moment alone."""

    _STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:\+00:00|Z)")
    _RUN = re.compile(r"\b\d{4}-\d{4}(?:-\d+)?\b")
    _WINDOW = re.compile(r"\b\d{4}-\d{6}-\d+\b")
    _BROKER = re.compile(r"(@\d+ )(\d{13})\b")
    _PID = re.compile(r'("pid": ")\d+')

    def __init__(self, clock: Clock, profile: Path) -> None:
        self._clock = clock
        self._runs: dict[str, str] = {}
        records = [json.loads(p.read_bytes()) for p in profile.glob("runs/*/run.json")]
        for facts in sorted(records, key=lambda facts: str(facts["started"])):
            began = clock.shifted(datetime.fromisoformat(facts["started"]))
            self._runs[facts["id"]] = f"{began:%m%d-%H%M}"
        assert len({*self._runs.values()}) == len(self._runs), "a run an hour"

    def text(self, text: str) -> str:
        """Return *text* with everything replaced."""
        text = self._STAMP.sub(self._stamp, text)
        text = self._WINDOW.sub(f"0310-080000-{PID}", text)
        text = self._RUN.sub(lambda found: self._runs.get(found[0], found[0]), text)
        text = self._BROKER.sub(self._millis, text)
        return self._PID.sub(rf"\g<1>{PID}", text).replace(f"@{socket.gethostname()}", f"@{HOST}")

    def file(self, path: Path) -> bytes:
        """Return the content of *path*; the lines of a log get their new checksums."""
        if path.suffix != ".jsonl":
            return self.text(path.read_text()).encode()
        payloads = [decode_line(line) for line in path.read_bytes().splitlines()]
        return b"".join(encode_line(self.text((p or b"").decode()).encode()) for p in payloads)

    def _stamp(self, found: re.Match[str]) -> str:
        text = found[0]
        moment = self._clock.shifted(datetime.fromisoformat(text)).isoformat(
            timespec="microseconds"
        )
        digits = len(re.sub(r".*T[\d:]{8}\.?|[+Z].*", "", text))
        fraction = f".{moment[20 : 20 + digits]}" if digits else ""
        return moment[:19] + fraction + ("Z" if text.endswith("Z") else "+00:00")

    def _millis(self, found: re.Match[str]) -> str:
        moment = self._clock.shifted(datetime.fromtimestamp(int(found[2]) / 1000, UTC))
        return f"{found[1]}{int(moment.timestamp() * 1000)}"


def keep(neutral: Neutral, state: dict[str, Any]) -> None:
    """Replace the fixture by the workspace here, its saved plan and the marketplace's *state*."""
    shutil.rmtree(HERE / "workspace", ignore_errors=True)
    root = Path(".ocsync")
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        name = neutral.text(str(path.relative_to(root))).replace(".gitignore", "gitignore")
        target = HERE / "workspace" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(neutral.file(path))
    (HERE / "plan.json").write_bytes(neutral.file(Path("plan.json")))
    (HERE / "marketplace.json").write_text(neutral.text(_readable(state)))


def _readable(state: dict[str, Any]) -> str:
    """Return *state* as JSON with a row a line."""

    def one(value: Any) -> str:
        if not isinstance(value, list):
            return json.dumps(value)
        return "[\n" + ",\n".join(f"    {json.dumps(row)}" for row in value) + "\n  ]"

    return "{\n" + ",\n".join(f'  "{name}": {one(v)}' for name, v in state.items()) + "\n}\n"


def main() -> None:
    """Play the story in a folder of its own, and keep what it leaves."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("seed.json").write_text(json.dumps(SEED))
        os.environ.update(
            HOME=folder, OCSYNC_DATA_DIR=f"{folder}/data", TZ="UTC", LOGNAME="mara",
            ACME_SECRET="emulator", LISTENER="sesame",
        )  # fmt: skip
        for name in ("CI", "BUILD_URL", "GITHUB_RUN_ID", "CI_JOB_URL"):
            os.environ.pop(name, None)
        clock = Clock()
        clock.begin("2025-03-03T08:00")
        with serve_in_thread(EmulatorOptions(port=PORT, seed=Path("seed.json"))) as emulator:
            shop = Shop(emulator.url, emulator.emulator)
            play(clock, shop)
            keep(Neutral(clock, PROFILE), shop.state())
        os.chdir(HERE)
    text = "".join(p.read_text() for p in HERE.rglob("*") if p.is_file() and p.suffix != ".py")
    assert folder not in text
    assert socket.gethostname() not in text


if __name__ == "__main__":
    main()
