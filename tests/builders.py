"""Values with sensible defaults, and the marketplace as a test sees it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import httpx

from ocsync.emulator import MILLISECONDS
from ocsync.emulator.app import Emulator
from ocsync.models import Change, Entry, Op

HTTP = httpx.Client(verify=False, trust_env=False, limits=httpx.Limits(keepalive_expiry=2.0))
"""One client for all tests: making one costs more than its requests. All traffic is plain http.

It lets go of an idle connection before the emulator does (after 5 s), so that none breaks under it.
"""


class Result(NamedTuple):
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    @property
    def events(self) -> list[Any]:
        """The NDJSON on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


class Shop(NamedTuple):
    """A marketplace, seen from outside but for its reset."""

    url: str
    emulator: Emulator

    def seed(self, **seed: Any) -> None:
        HTTP.post(self.url + "/_emulator/seed", json=seed).raise_for_status()

    def faults(self, *rules: dict[str, Any]) -> None:
        HTTP.put(self.url + "/_emulator/faults", json=list(rules)).raise_for_status()

    def signs_in(self, **form: str) -> bool:
        return HTTP.post(self.url + "/oauth/token", data=form).status_code == 200

    def switch(self, **options: Any) -> None:
        """Change options of the running emulator, times in seconds; a reset takes them back."""
        options |= {name: options[name] * 1000 for name in options.keys() & set(MILLISECONDS)}
        HTTP.patch(self.url + "/_emulator/options", json=options).raise_for_status()

    def counts(self) -> dict[str, Any]:
        found: dict[str, Any] = HTTP.get(self.url + "/_emulator/counts").json()
        return found

    def emulator_state(self) -> dict[str, Any]:
        """The marketplace as a seed."""
        found: dict[str, Any] = HTTP.get(self.url + "/_emulator/state").json()
        return found

    def all_paused(self) -> list[str]:
        """The targets that are paused."""
        return sorted(
            n for n, config in self.emulator.market.sync_configs.items() if config["Paused"]
        )

    def refusal(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """The status of a request that is refused, and its error code."""
        answer = self.call(method, path, body)
        return answer.status_code, answer.json()["Errors"][0]["ErrorCode"]

    def state(self) -> dict[str, Any]:
        """The marketplace as a seed."""
        found: dict[str, Any] = HTTP.get(self.url + "/_emulator/state").json()
        return found

    def requests(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = HTTP.get(self.url + "/_emulator/requests").json()
        return found

    def writes(self) -> list[dict[str, Any]]:
        """The writes that are no sync config's."""
        verbs = ("PUT", "PATCH", "POST", "DELETE")
        return [
            r for r in self.requests()
            if r["method"] in verbs and not r["path"].startswith(("/v1/integrations/", "/oauth/"))
        ]  # fmt: skip

    def messages(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = HTTP.get(self.url + "/_emulator/messages").json()
        return found

    def call(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """A request of somebody else's."""
        form = {
            "grant_type": "client_credentials",
            "client_id": "emulator",
            "client_secret": "emulator",
        }
        token = HTTP.post(self.url + "/oauth/token", data=form).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        return HTTP.request(method, self.url + "/v1" + path, json=body, headers=headers)

    def get(self, path: str) -> Any:
        return self.call("GET", path).json()

    def paused(self, path: str = "/integrations/entitysync/products/inventoryrecords") -> bool:
        return bool(self.get(path)["Paused"])

    def stock(self, records: int = 20, products: int = 5, quantity: int = 5) -> list[str]:
        """Inventory *records* spread over *products*; their refs."""
        place = {"Street1": "s", "City": "c", "Country": "DE"}
        self.seed(
            address=[{"ID": f"wh-{n}", **place} for n in range(2)],
            product=[
                {"ID": f"P{n}", "Name": f"Product {n}", "Inventory": {"Enabled": True}}
                for n in range(products)
            ],
            inventory=[
                {"ProductID": f"P{n % products}", "ID": f"R{n}", "AddressID": "wh-0",
                 "QuantityAvailable": quantity}
                for n in range(records)
            ],
        )  # fmt: skip
        return [f"inventory/P{n % products}/R{n}" for n in range(records)]


def entry(op: str, ref: str, fields: dict[str, Any] | None = None, **more: Any) -> Entry:
    return Entry(op=Op(op), ref=ref, fields=fields or {}, **more)


def change(ref: str, fields: dict[str, Any] | None = None, op: str = "set", **more: Any) -> Change:
    return Change(op=Op(op), ref=ref, fields=fields or {}, entries=(1,), **more)


def numbered(entries: Iterable[Entry]) -> list[Entry]:
    """Entries as a journal gives them back."""
    import msgspec

    return [msgspec.structs.replace(e, seq=n) for n, e in enumerate(entries, 1)]


def csv_of(rows: Iterable[Iterable[object]]) -> bytes:
    return "".join(",".join(map(str, row)) + "\n" for row in rows).encode()
