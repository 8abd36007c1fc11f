"""Deletes: what is shown first, the order, what becomes of what is staged, and trouble."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.builders import Result, Shop
from tests.cli.test_crashes import wait_for_writes
from tests.conftest import SECRET, Run, add_profile
from tests.crash_points import CrashPoint, crash, crash_points, keep_state, restore_state
from tests.processes import Started


@pytest.fixture
def family(shop: Shop) -> Shop:
    """A catalog with a tree of categories, a buyer with people, a product with records."""
    shop.stock(records=2, products=1)
    shop.seed(
        catalog=[{"ID": "C", "Name": "C"}],
        buyer=[{"ID": "B", "Name": "B", "DefaultCatalogID": "C"}],
        category=[
            {"CatalogID": "C", "ID": "K1", "Name": "1"},
            {"CatalogID": "C", "ID": "K2", "Name": "2", "ParentID": "K1"},
            {"CatalogID": "C", "ID": "K3", "Name": "3", "ParentID": "K2"},
        ],
        usergroup=[{"BuyerID": "B", "ID": "G", "Name": "G"}],
        **{
            "catalog-assignment": [{"CatalogID": "C", "BuyerID": "B", "ViewAllProducts": True}],
            "catalog-product": [{"CatalogID": "C", "ProductID": "P0"}],
            "category-product": [{"CatalogID": "C", "CategoryID": "K3", "ProductID": "P0"}],
            "category-assignment": [{"CatalogID": "C", "CategoryID": "K1", "BuyerID": "B", "UserGroupID": "G"}],
            "product-assignment": [{"ProductID": "P0", "BuyerID": "B"}],
        },
    )  # fmt: skip
    return shop


def survey(result: Result) -> dict[str, Any]:
    assert result.code == 0, result
    found: dict[str, Any] = next(e for e in result.events if e["type"] == "survey")
    return found


def deletes(shop: Shop) -> list[str]:
    return [r["path"].removeprefix("/v1/") for r in shop.writes() if r["method"] == "DELETE"]


ALONG: list[tuple[str, dict[str, int]]] = [
    ("catalog/C", {"category": 3, "catalog-assignment": 1, "catalog-product": 1, "category-product": 1, "category-assignment": 1}),
    ("buyer/B", {"usergroup": 1, "catalog-assignment": 1, "category-assignment": 1, "product-assignment": 1}),
    ("product/P0", {"inventory": 2, "catalog-product": 1, "category-product": 1, "product-assignment": 1}),
    ("category/C/K1", {"category": 2, "category-product": 1, "category-assignment": 1}),
    ("usergroup/B/G", {"category-assignment": 1}),
    ("catalog-product/C/P0", {}), ("inventory/P0/R0", {}), ("address/wh-1", {}),
]  # fmt: skip


def test_what_goes_along_is_read_and_nothing_deleted_when_dry(ocsync: Run, family: Shop) -> None:
    for ref, along in ALONG:
        found = survey(ocsync("delete", ref, "--dry-run", "--json"))
        assert found["refs"][0]["dependents"] == along, ref
        assert found["number"] == 1 + sum(along.values())
    assert family.writes() == []
    assert ocsync("history", "--json").data["runs"] == []


def test_what_is_named_twice_counts_once(ocsync: Run, family: Shop) -> None:
    refs = ("product/P0", "inventory/P0/R0", "inventory/P0/R1", "product/p0")
    assert survey(ocsync("delete", *refs, "--dry-run", "--json"))["number"] == 6
    assert ocsync("delete", *refs, "--yes", "--max-delete", "5").code == 64
    assert ocsync("delete", *refs, "--no-count", "--max-delete", "5").code == 64, "not both"
    assert ocsync("delete", *refs, "--yes", "--max-delete", "6").code == 0
    assert deletes(family) == [
        "products/P0/inventoryrecords/R0", "products/P0/inventoryrecords/R1", "products/P0",
    ]  # fmt: skip


REFUSED: list[tuple[tuple[str, ...], str]] = [
    (("catalog/C",), "it is a default catalog"),
    (("address/wh-0",), "inventory records refer to it"),
    (("address/wh-0", "inventory/P0/R0"), "inventory records refer to it"),
    (("product/PARENT",), "it is a parent product"),
    (("product/BUNDLED",), "bundles contain it"),
    (("catalog/C", "buyer/B"), ""),
    (("address/wh-0", "inventory/P0/R0", "inventory/P0/R1"), ""),
    (("address/wh-0", "product/P0"), ""),
    (("product/PARENT", "product/CHILD"), ""),
]


@pytest.mark.quick(3)
@pytest.mark.parametrize(("refs", "why"), REFUSED, ids=[" ".join(refs) for refs, _ in REFUSED])
def test_refusals_are_foretold_and_what_goes_first_lifts_them(
    ocsync: Run, family: Shop, refs: tuple[str, ...], why: str
) -> None:
    family.seed(
        product=[{"ID": "PARENT", "Name": "p", "IsParent": True}, {"ID": "CHILD", "Name": "c", "ParentID": "PARENT"},
                 {"ID": "BUNDLED", "Name": "b"}],
        bundle=[{"ID": "BU", "Name": "b"}], **{"bundle-product": [{"BundleID": "BU", "ProductID": "BUNDLED"}]},
    )  # fmt: skip
    shown = ocsync("delete", *refs, "--dry-run")
    assert ("will be refused" in shown.err) is bool(why), shown.err
    assert why in shown.err
    result = ocsync("delete", *refs, "--yes")
    assert result.code == (3 if why else 0), result


def test_what_stays_and_what_cannot_be_known_is_said(ocsync: Run, family: Shop) -> None:
    family.call("PUT", "/buyers/SOLO", {"Name": "Solo"})
    family.call("PATCH", "/integrations/entitysync/buyers/usergroups", {"SyncEntityDeleted": False})
    family.call("DELETE", "/integrations/entitysync/catalogs")
    refs = (
        "buyer/SOLO",
        "category-product/C/K3/P0",
        "inventory/P0/R0",
        "usergroup/B/G",
        "catalog/C",
    )
    told = " ".join(ocsync("delete", *refs, "--dry-run").err.split())
    for text in (
        "buyer/SOLO leaves catalog/SOLO; to delete it too: ocsync delete catalog/SOLO",
        "inventory: OrderCloud does not document a delete message",
        "inventory records: open orders may block the delete (cannot be read)",
        "no delete message, because the sync config excludes deletes: usergroups",
        "no delete message, because there is no sync config: catalogs",
    ):
        assert text in told, told
    assert "leaves catalog-product/C/P0" not in told, "it goes with its catalog"
    alone = ocsync("delete", "category-product/C/K3/P0", "--dry-run").err
    assert "leaves catalog-product/C/P0; to delete it too" in alone


def test_a_role_that_is_missing_stops_no_delete(ocsync: Run, family: Shop, run: Run) -> None:
    family.seed(
        clients=[
            {
                "ID": "some",
                "Secret": "emulator",
                "Roles": ["CategoryAdmin", "EntitySyncConfigAdmin"],
            }
        ]
    )
    run("profile", "add", "some", "--api-url", family.url, "--client-id", "some", "--secret-env", SECRET)  # fmt: skip
    result = run("delete", "category/C/K3", "catalog/NONE", "--yes", "--profile", "some")
    assert result.code == 4, "a ref that may not be read stops it all"
    assert deletes(family) == []
    result = run("delete", "category/C/K3", "--yes", "--profile", "some")
    assert result.code == 0, result


def test_nobody_deletes_the_user_that_signs_in(ocsync: Run, shop: Shop) -> None:
    user = {"FirstName": "f", "LastName": "l", "Email": "e@x.example", "Active": True}
    shop.seed(
        clients=[{"ID": "emulator", "Secret": "emulator", "Roles": ["FullAccess"], "User": "robot"}],
        **{"admin-user": [{"ID": "R", **user, "Username": "robot"}]},
    )  # fmt: skip
    assert ocsync("delete", "admin-user/r", "--yes").code == 64
    assert deletes(shop) == []


def test_refs_from_a_file_from_stdin_and_from_csv(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[{"ID": f"C{n}", "Name": "c"} for n in range(6)])
    Path("list.txt").write_text("# old ones\ncatalog/C0\n\n  catalog/C1  \ncatalog/c0\n")
    assert ocsync("delete", "--file", "list.txt", "--yes").code == 0
    assert ocsync("delete", "-", "--yes", stdin="\ufeffcatalog/C2\n".encode()).code == 0
    Path("list.csv").write_text('Name;ref\n"a;b";catalog/C3\nx;catalog/C4\n')
    assert ocsync("delete", "--file", "list.csv", "--yes").code == 0
    assert [c["ID"] for c in shop.get("/catalogs")["Items"]] == ["C5"]

    Path("bad.txt").write_text("catalog/C5\ncatalog/C 5\nvariant/P/V\n")
    bad = ocsync("delete", "--file", "bad.txt", "--yes")
    assert bad.code == 65
    assert 'bad.txt:2  ref  "catalog/C 5"' in bad.err
    assert "bad.txt:3" in bad.err
    assert ocsync("delete", "--file", "none.txt").code == 66
    assert ocsync("delete").code == 64
    assert ocsync("delete", "catalog/C5", "--file", "list.txt").code == 64
    assert len(shop.get("/catalogs")["Items"]) == 1


def test_a_second_time_it_is_gone_already(ocsync: Run, family: Shop) -> None:
    assert (
        ocsync("delete", "product/P0", "product/NONE", "--yes", "--json").events[-1]["deleted"] == 1
    )
    again = ocsync("delete", "product/P0", "product/NONE", "--yes")
    assert again.code == 0
    run = ocsync("history", "--json").data["runs"][0]["id"]
    assert f"product/P0  was already deleted by run {run}" in again.err
    assert "product/NONE  does not exist" in again.err
    assert len(ocsync("history", "--json").data["runs"]) == 1, "nothing was done, so no run"


def test_an_answer_that_is_lost_is_no_failure(ocsync: Run, family: Shop) -> None:
    family.faults({"method": "DELETE", "path": "P0", "status": 500, "effect": True})
    result = ocsync("delete", "product/P0", "--yes", "--json")
    assert (result.code, result.events[-1]["deleted"]) == (0, 1)


def test_a_child_that_is_refused_blocks_its_parent(ocsync: Run, family: Shop) -> None:
    code = "InventoryRecord.OpenOrdersExist"
    family.faults({"method": "DELETE", "path": "records/R0", "status": 400, "code": code})
    result = ocsync("delete", "product/P0", "inventory/P0/R0", "inventory/P0/R1", "--yes")
    assert result.code == 3
    assert code in result.out
    assert "product/P0   blocked by inventory/P0/R0" in result.out
    assert family.call("GET", "/products/P0").status_code == 200
    assert deletes(family)[-1] == "products/P0/inventoryrecords/R1"
    assert "partly done: 1 of 3 deleted, 2 failed" in result.out


def test_what_is_staged_falls_or_makes_it_again(ocsync: Run, family: Shop) -> None:
    for words in (
        "set product/P0 Name=a", "put product/P0 Name=b Inventory.Enabled=true --replace",
        "set product/P0 Active=true",
        "set inventory/P0/R0 QuantityAvailable=1", "put inventory/P0/R1 AddressID=wh-0 --replace",
        "set category/C/K3 Name=x", "set catalog/C Name=y", "assign category-product/C/K3/P0",
    ):  # fmt: skip
        assert ocsync("stage", *words.split()).code == 0
    result = ocsync("delete", "product/P0", "category/C/K1", "--yes")
    assert result.code == 0
    staged = {
        row["ref"]: row["entries"] for row in ocsync("stage", "list", "--json").data["staged"]
    }
    assert staged == {"product/P0": [2, 3], "inventory/P0/R1": [5], "catalog/C": [7]}
    assert "dropped 4 staged entries" in result.out
    assert "kept 3 staged entries" in result.out
    assert ocsync("resume", "--verify").code == 0
    assert family.get("/products/P0")["Name"] == "b"


def test_edits_of_what_is_gone_are_refused_until_it_is_made_again(
    ocsync: Run, family: Shop
) -> None:
    ocsync("delete", "category/C/K1", "product/P0", "catalog-product/C/P0", "--yes")
    below = ocsync("stage", "set", "category/C/K3", "Name=x")
    assert (below.code, "was deleted by run" in below.err) == (65, True)
    Path("edits.csv").write_text("ref,Name\nproduct/P9,x\nproduct/p0,y\ncategory/C/K2,z\n")
    result = ocsync("stage", "import", "edits.csv")
    assert result.code == 65
    assert 'edits.csv:3  ref  "product/p0"     was deleted by run' in result.err
    assert "edits.csv:4" in result.err
    assert ocsync("stage", "list", "--json").data["staged_entries"] == 0

    assert ocsync("stage", "set", "product/P0", "Name=x", "--expect-current").code == 66, (
        "still gone"
    )
    assert ocsync("stage", "put", "product/P0", "Name=again").code == 0
    assert ocsync("stage", "set", "product/P0", "Active=true").code == 0
    assert ocsync("stage", "assign", "catalog-product/C/P0").code == 0, "an assign makes it again"
    family.seed(category=[{"CatalogID": "C", "ID": "K1", "Name": "by somebody else"}])
    assert ocsync("stage", "set", "category/C/K1", "Active=true").code == 65
    assert ocsync("stage", "set", "category/C/K1", "Active=true", "--expect-current").code == 0
    assert ocsync("stage", "set", "category/C/K1", "ListOrder=3").code == 0, "it is lifted for good"
    assert ocsync("stage", "set", "category/C/K2", "Name=x", "--recreated").code == 0
    assert ocsync("stage", "drop", "category/C/K2").code == 0
    assert ocsync("resume").code == 0
    assert ocsync("stage", "set", "product/P0", "Active=false").code == 0, "it was made again"
    assert ocsync("stage", "set", "category/C/K3", "Name=x").code == 65, "that is still gone"


def test_an_interrupt_ends_in_good_order_and_the_same_command_goes_on(run: Run, shop: Shop) -> None:
    run("init")
    add_profile(run, shop)
    refs = [f"catalog/C{n}" for n in range(120)]
    shop.seed(catalog=[{"ID": ref[8:], "Name": "c"} for ref in refs])
    run("stage", "set", "catalog/C0", "Name=x")
    shop.switch(latency=0.02)
    Path("list.txt").write_text("\n".join(refs))
    words = ("delete", "--file", "list.txt", "--yes", "--no-count", "--concurrency", "4")
    with Started(*words) as going:
        wait_for_writes(shop, 10)
        going.signal(signal.SIGINT)
        done = going.wait()
    shop.switch(latency=0)
    left = shop.get("/catalogs")["Meta"]["TotalCount"]
    assert done.code == 130, done
    assert 0 < left < 120
    assert f"{120 - left} of 120" in done.err
    [info] = run("history", "--json").data["runs"]
    assert (info["state"], info["exit_code"], info["type"]) == ("closed", 130, "delete")
    assert run("stage", "list", "--json").data["staged_entries"] == 0, "what is gone has fallen"
    assert run(*words).code == 0
    assert shop.get("/catalogs")["Meta"]["TotalCount"] == 0
    assert len(deletes(shop)) == 120, "none was sent twice"


REFS = ("product/P0", "inventory/P0/R0", "category/C/K1", "catalog-product/C/P0", "product/NONE")
STAGED = (
    "set product/P0 Name=a", "put product/P0 Name=b", "set inventory/P0/R1 QuantityAvailable=1", "set category/C/K3 Name=x",
    "set catalog/C Name=y",
)  # fmt: skip


def prepared(run: Run, family: Shop) -> None:
    run("init")
    add_profile(run, family)
    for words in STAGED:
        assert run("stage", *words.split()).code == 0
    keep_state(Path("kept"))


def again(family: Shop, seed: dict[str, Any]) -> None:
    restore_state(Path("kept"))
    family.emulator.reset()
    family.seed(**seed)


def check(run: Run, family: Shop, then: str, what: object) -> None:
    """Down at any point, a delete or a resume comes, and all is as if nothing had happened."""
    if then == "resume":
        run("stage", "drop", "product/P0")
        assert run("resume", "--no-pause").code in (0, 3), what
        assert run("stage", "clear", "--yes").code == 0
    result = run("delete", *REFS, "--yes")
    assert result.code == 0, (what, result)
    for path in ("/products/P0", "/catalogs/C/categories/K3"):
        assert family.call("GET", path).status_code == 404, what
    staged = {row["ref"]: row["entries"] for row in run("stage", "list", "--json").data["staged"]}
    assert staged == ({"product/P0": [2], "catalog/C": [5]} if then == "delete" else {}), what
    assert {info["state"] for info in run("history", "--json").data["runs"]} == {"closed"}
    assert run("stage", "set", "inventory/P0/R1", "OrderCanExceed=true").code == (
        0 if staged else 65
    )
    assert run("stage", "set", "category/C/K2", "Name=x").code == 65, what
    assert run("stage", "set", "catalog/C", "Active=true").code == 0, what


SAMPLE = [
    (CrashPoint("request", 2, "after"), "delete"),
    (CrashPoint("request", 4, "after"), "resume"),
    (CrashPoint("write", 4, "half"), "delete"),
]


@pytest.fixture
def seed(family: Shop) -> dict[str, Any]:
    return family.state()


def test_down_at_some_points(run: Run, family: Shop, seed: dict[str, Any]) -> None:
    prepared(run, family)
    for point, then in SAMPLE:
        again(family, seed)
        crashed = crash("delete", *REFS, "--yes", at=point)
        assert crashed.code == -9, (point, crashed)
        check(run, family, then, point)


def test_the_doctor_knows_a_run_of_deletes(run: Run, family: Shop) -> None:
    """Its record is made again as what it is, and its plan never from staged entries."""
    prepared(run, family)
    assert crash("delete", *REFS, "--yes", at=CrashPoint("request", 2, "after")).code == -9
    [folder] = Path(".ocsync/profiles/test/runs").iterdir()
    record, gone = folder / "run.json", Path(".ocsync/profiles/test/deleted.jsonl")
    record.write_text(record.read_text().replace("{", "(", 1))
    gone.write_text(gone.read_text().replace("product", "produce", 1))
    assert run("doctor", "--offline", "--fix", "--yes").code == 1, "a run is not finished"
    [info] = run("history", "--json").data["runs"]
    assert (info["type"], info["state"]) == ("delete", "open")
    (folder / "plan.jsonl").write_text("nothing\n")
    told = run("doctor", "--offline", "--fix", "--yes")
    assert "cannot continue without its plan" in told.out + told.err
    assert family.writes()[-1]["method"] == "DELETE"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("then", ["delete", "resume"])
def test_down_at_every_point(run: Run, family: Shop, seed: dict[str, Any], then: str) -> None:
    prepared(run, family)
    points = crash_points(crash("delete", *REFS, "--yes").operations)
    for point in points:
        again(family, seed)
        # records that end up in one group are one write: the last points may not come
        crashed = crash("delete", *REFS, "--yes", at=point)
        assert crashed.code in (-9, 0), (point, crashed)
        check(run, family, then, point)
    print(f"\ndied at {len(points)} points: all came right")


def test_delete_is_guarded_immediate_and_drops_what_is_staged(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=2, products=1)
    ocsync("pause", "products", "inventory")
    ocsync("stage", "set", refs[0], "QuantityAvailable=9")
    ocsync("stage", "set", "address/wh-0", "City=x")
    asked = ocsync("delete", "product/P0")
    assert asked.code == 64
    assert "with its dependents: 2 inventory records" in asked.err
    assert "delivered immediately: products (paused)" in asked.err
    assert shop.call("GET", "/products/P0").status_code == 200

    result = ocsync("delete", "product/P0", "catalog/NONE", "--yes")
    assert result.code == 0
    assert shop.call("GET", "/products/P0").status_code == 404
    assert [m["namespace"] for m in shop.messages()] == [
        "sitecore.ordercloud.messages.product.deleted"
    ]
    staged = ocsync("stage", "list", "--json").data["staged"]
    assert [row["ref"] for row in staged] == ["address/wh-0"]


def test_deletes_that_are_refused_are_told(ocsync: Run, shop: Shop) -> None:
    shop.stock(records=1)
    shop.seed(catalog=[{"ID": "C", "Name": "C"}])
    result = ocsync("delete", "address/wh-0", "catalog/C", "--yes")
    assert result.code == 3
    assert "will be refused: inventory records refer to it (product/P0)" in result.err
    assert "CannotDeleteInventoryRecordAddress" in result.out
    assert shop.call("GET", "/catalogs/C").status_code == 404
    assert ocsync("delete", "variant/P/V", "--yes").code == 65


def test_an_assignment_is_removed_by_delete(ocsync: Run, shop: Shop) -> None:
    shop.seed(**{"catalog-product": [{"CatalogID": "C", "ProductID": "P"}]})
    assert ocsync("delete", "catalog-product/C/P", "--yes").code == 0
    assert shop.get("/catalogs/productassignments")["Items"] == []


def test_what_is_no_ref_says_what_one_is(ocsync: Run) -> None:
    for word, told in (("0815", '"0815" is not a ref, which has a kind and IDs: product/P1'),
                       ("products/P", '"products" is not a kind; did you mean product?')):  # fmt: skip
        Path("gone.txt").write_text(f"{word}\n")
        for words in (("--file", "gone.txt"), (word,)):
            result = ocsync("delete", *words)
            assert (result.code, told in result.err) == (65, True), result
