"""Other people's clients, unmodified, against the emulator."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ocsync.schema import KINDS
from tests.builders import Shop
from tests.emulator.node_packages import installed
from tests.emulator.sdk_cases import (
    ASSIGNED,
    FAMILIES,
    MODELS,
    SEED,
    SYNCS,
    UNKNOWN,
    Assigned,
    Family,
    camel,
)

JAVASCRIPT = {"ordercloud-javascript-sdk": "12.0.0", "axios": "*"}
CONFIG = {"DeliveryConfigID": "emulator-log", "SyncEntityChanged": True, "SyncEntityDeleted": True}


@pytest.fixture
def market(shop: Shop) -> Shop:
    shop.seed(**SEED)
    shop.switch(refresh_lifetime=60)
    return shop


@pytest.mark.parametrize(("kind", "name"), MODELS.items(), ids=MODELS)
def test_the_tables_know_every_field_of_the_models(kind: str, name: str) -> None:
    """The newest API description that there is in public; a field that it lacks is ours to read."""
    models = pytest.importorskip("ordercloud.models", reason="the dev extra is not installed")
    fields = getattr(models, name).model_fields
    theirs = {field.alias or path for path, field in fields.items()}
    row = KINDS[kind]
    ours = {path.partition(".")[0] for path in row.fields} | {"ID", *row.ids}
    assert theirs - ours <= UNKNOWN


def use(market: Shop, what: Any) -> None:
    """Let *what* work with the Python SDK."""
    ordercloud = pytest.importorskip("ordercloud", reason="the dev extra is not installed")

    async def go() -> None:
        client = ordercloud.OrderCloudClient.create(
            client_id="emulator", client_secret="emulator",
            base_url=market.url + "/v1", auth_url=market.url + "/oauth/token",
        )  # fmt: skip
        async with client:
            await what(client)

    asyncio.run(go())


async def refused(call: Any, status: int, code: str) -> None:
    from ordercloud.errors import OrderCloudError

    with pytest.raises(OrderCloudError) as caught:
        await call
    assert (caught.value.status_code, caught.value.errors[0].error_code) == (status, code)


@pytest.mark.quick(7)
@pytest.mark.parametrize("case", FAMILIES, ids=[f.resource + f.suffix for f in FAMILIES])
def test_python_entities(market: Shop, case: Family) -> None:
    async def go(client: Any) -> None:
        def of(verb: str, tail: str = "") -> Any:
            method = getattr(getattr(client, case.resource), verb + case.suffix + tail)
            return lambda *words, **more: method(*case.parents, *words, **more)

        twin = {n: v + "x" if n == "Username" else v for n, v in case.body.items()}
        assert (await of("create")({"ID": "one", **case.body})).id == "one"
        await refused(of("create")({**twin, "ID": "one"}), 409, "IdExists")
        assert (await of("save")("two", twin)).id == "two"
        changed = await of("patch")("one", case.change)
        dumped = changed.model_dump(by_alias=True)
        assert {n: dumped[n] for n in case.change} == case.change
        got = await of("get")("one")
        page = await of("list", case.plural)(page_size=1, sort_by="!ID", filters={"ID": "one|two"})
        assert ([item.id for item in page.items], page.meta.total_count) == (["two"], 2)
        assert got == changed.__class__.model_validate({**dumped})
        for name in ("one", "two"):
            await of("delete")(name)
        await refused(of("get")("one"), 404, "NotFound")

    use(market, go)


@pytest.mark.quick(5)
@pytest.mark.parametrize("case", ASSIGNED, ids=[f"{a.resource}-{a.stem}" for a in ASSIGNED])
def test_python_assignments(market: Shop, case: Assigned) -> None:
    async def go(client: Any) -> None:
        def of(name: str) -> Any:
            return getattr(getattr(client, case.resource), name)

        async def count() -> int:
            page = await of(f"list_{case.stem}s")(*case.parents)
            found = [item.model_dump(by_alias=True) for item in page.items]
            return sum(item.items() >= case.body.items() for item in found)

        for _ in range(2):
            await of(f"save_{case.stem}")(*case.parents, case.body)
        assert await count() == 1
        by = {name.replace("ID", "_id"): value for name, value in case.by.items()}
        await of(f"delete_{case.stem}")(*case.gone, **by)
        assert await count() == 0

    use(market, go)


def test_python_sync_configs_and_requests(market: Shop) -> None:
    async def go(client: Any) -> None:
        syncs = client.entity_syncs
        for read, write, send, body in SYNCS:
            await getattr(syncs, f"save_{write}")(CONFIG)
            assert (await getattr(syncs, f"patch_{read}")({"Paused": True})).paused is True
            assert (await getattr(syncs, f"get_{read}")()).sync_entity_changed is True
            await getattr(syncs, f"patch_{read}")({"Paused": False})
            await getattr(syncs, send)(body)
            await getattr(syncs, f"delete_{write}")()
            await refused(getattr(syncs, f"get_{read}")(), 404, "NotFound")
        await client.product_syncs.patch({"Paused": True})
        assert (await client.product_syncs.get()).paused is True
        await client.product_syncs.sync({"ProductID": "P"})
        await client.order_syncs.save({"DeliveryConfigID": "emulator-log"})
        assert (await client.order_syncs.get()).delivery_config_id == "emulator-log"

    use(market, go)
    assert len(market.messages()) == len(SYNCS) + 1


def test_python_signs_in_and_reads_everything(market: Shop) -> None:
    from ordercloud.resources.base import paginate

    market.seed(product=[{"ID": f"x{n:03}", "Name": "x"} for n in range(230)])
    market.seed(clients=[{"ID": "emulator", "Secret": "emulator", "Roles": ["ProductReader"]}])

    async def go(client: Any) -> None:
        found = [p.id async for p in paginate(client.products.list, filters={"ID": "x*"})]
        assert len(found) == len(set(found)) == 230
        assert (await client.me.get()).seller.id == "emulator"
        await refused(client.products.delete("P"), 403, "InsufficientRoles")

    ordercloud = pytest.importorskip("ordercloud", reason="the dev extra is not installed")

    async def run() -> None:
        client = ordercloud.OrderCloudClient.create(
            client_id="emulator", client_secret="emulator", scopes=["ProductReader"],
            base_url=market.url + "/v1", auth_url=market.url + "/oauth/token",
        )  # fmt: skip
        async with client:
            await go(client)

    asyncio.run(run())


@pytest.fixture(scope="session")
def node_modules(request: pytest.FixtureRequest) -> Path:
    """The official SDK."""
    return installed(request.config, "javascript", JAVASCRIPT)


def test_the_javascript_sdk(market: Shop, node_modules: Path) -> None:
    def named(case: Family | Assigned) -> dict[str, Any]:
        texts = {
            n: camel(v) for n, v in case._asdict().items() if n in ("resource", "suffix", "stem")
        }
        return {**case._asdict(), **texts}

    known = [s for s in SYNCS if s[0] != "catalogs"]  # the package has no catalog sync yet
    cases = {
        "url": market.url,
        "families": [named(f) for f in FAMILIES if f.javascript],
        "assigned": [named(a) for a in ASSIGNED if a.javascript],
        "syncs": [[*map(camel, names), body] for *names, body in known],
    }
    script = Path(__file__).with_name("sdk.mjs")
    done = subprocess.run(
        ["node", str(script), str(node_modules)], input=json.dumps(cases), text=True,
        capture_output=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    total = sum(len(cases[name]) for name in ("families", "assigned", "syncs"))
    assert done.stdout == f"{total} families\n"
