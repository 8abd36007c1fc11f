"""The whole cycle through the command line, on a marketplace behind a socket."""

from __future__ import annotations

from pathlib import Path

from ocsync.schema import KINDS
from tests.builders import Shop, csv_of
from tests.conftest import SECRET, Run

CONFIG = "/integrations/entitysync/products/inventoryrecords"


def stocktake(refs: list[str], edits: int) -> bytes:
    rows = [("ref", "QuantityAvailable")]
    rows += [(ref, str(100 + turn)) for turn in range(edits) for ref in refs]
    return csv_of(rows)


def test_pause_stage_plan_resume_verify(ocsync: Run, shop: Shop) -> None:
    """Ten edits a record come as one request and one message each."""
    refs = shop.stock(records=40)
    assert ocsync("pause", "inventory", "--reason", "stocktake", "--for", "2h").code == 0
    assert shop.paused()

    staged = ocsync("stage", "import", "-", stdin=stocktake(refs, 10))
    assert "400 entries for 40 inventory records" in staged.out
    plan = ocsync("plan", "--json").data
    result = ocsync("resume", "--verify")

    assert (plan["entries"], plan["steps"]) == (400, 40)
    assert result.code == 0, result
    assert "= 40" in result.out
    assert len(shop.writes()) == 40
    assert len(shop.messages()) == 40
    assert not shop.paused()
    assert {r["body"] for r in shop.writes()} == {'{"QuantityAvailable":109}'}


def test_the_same_again_sends_nothing(ocsync: Run, shop: Shop) -> None:
    """What is already there is not written, and no target is paused for it."""
    refs = shop.stock()
    ocsync("stage", "import", "-", stdin=stocktake(refs, 2))
    ocsync("resume")
    writes = len(shop.writes())
    ocsync("stage", "import", "-", stdin=stocktake(refs, 2))

    diff = ocsync("plan", "--diff", "--json", "--exit-code")
    result = ocsync("resume", "--verify")

    assert diff.code == 0
    assert all(row["same"] for row in diff.data["changes"])
    assert result.code == 0
    assert len(shop.writes()) == writes
    patches = [r for r in shop.requests() if r["method"] == "PATCH" and "integrations" in r["path"]]
    assert len(patches) == 2, "one pause and one lift, both for the first resume"


def test_an_assignment_is_sent_again_where_what_it_links_is_missing(
    ocsync: Run, shop: Shop
) -> None:
    """A category product brings its catalog product, whoever removed that."""
    ids = [f"P{n}" for n in range(3)]
    shop.seed(
        catalog=[{"ID": "C", "Name": "c"}], category=[{"CatalogID": "C", "ID": "K", "Name": "k"}],
        product=[{"ID": n, "Name": n} for n in ids],
    )  # fmt: skip
    for _ in range(2):
        for n in ids:
            ocsync("stage", "assign", f"category-product/C/K/{n}")
        if shop.writes():
            shop.call("DELETE", "/catalogs/C/productassignments/P1")
            shown = ocsync("plan", "--diff").out
            assert "category-product/C/K/P1  recreates catalog-product/C/P1" in shown
            assert "1 change; 2 refs need no change" in shown
        result = ocsync("resume", "--verify", "--json").events[-1]

    assert result["run"]["counts"] == {"done": 1, "unchanged": 2}
    assert sorted(one["ProductID"] for one in shop.state()["catalog-product"]) == ids


def test_targets_are_paused_for_the_replay_unless_told_not_to(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=7")
    assert ocsync("resume", "--no-pause").code == 0
    assert not [r for r in shop.requests() if r["method"] == "PATCH" and "integr" in r["path"]]

    ocsync("stage", "set", ref, "QuantityAvailable=8")
    assert ocsync("resume").code == 0
    bodies = [
        r["body"] for r in shop.requests() if r["method"] == "PATCH" and "integr" in r["path"]
    ]
    assert bodies == ['{"Paused":true}', '{"Paused":false}']


def test_failures_go_back_and_the_target_stays_paused(ocsync: Run, shop: Shop) -> None:
    """A step that fails blocks what needs it, and nothing else."""
    refs = shop.stock(records=3)
    ocsync("pause", "inventory")
    ocsync("stage", "put", "address/wh-9", "Street1=x", "City=y", "Country=DE")
    shop.faults({"method": "PUT", "path": "/addresses/wh-9", "status": 400, "times": 9})
    ocsync("stage", "set", refs[0], "AddressID=wh-9")
    ocsync("stage", "set", refs[1], "AddressID=wh-7")
    ocsync("stage", "set", refs[2], "QuantityAvailable=9")

    result = ocsync("resume", "--verify")

    assert result.code == 3
    assert f"{refs[0]}   blocked by address/wh-9" in result.out
    assert "404 NotFound" in result.out
    assert "3 refs are staged again" in result.out
    assert shop.paused()
    assert shop.get("/products/P2/inventoryrecords/R2")["QuantityAvailable"] == 9
    assert [row["ref"] for row in ocsync("stage", "list", "--json").data["staged"]] == [
        "address/wh-9", refs[0], refs[1],
    ]  # fmt: skip


def test_unpaused_it_needs_no_role_for_sync_configs(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    shop.seed(clients=[{"ID": "clerk", "Secret": "emulator", "Roles": ["ProductAdmin"]}])
    ocsync("profile", "add", "clerk", "--api-url", shop.url, "--client-id", "clerk",
           "--secret-env", SECRET)  # fmt: skip
    ocsync("stage", "set", ref, "QuantityAvailable=9", "--profile", "clerk")
    assert ocsync("resume", "--profile", "clerk").code == 4
    sent = ocsync("resume", "--no-pause", "--verify", "--profile", "clerk")
    assert (sent.code, "= 1" in sent.out) == (0, True), sent


def test_causes_are_told_before_what_waits_for_them(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=15)
    for ref in refs:
        ocsync("stage", "set", ref, "AddressID=new")
    ocsync("stage", "put", "address/new", "Street1=s", "City=c", "Country=DE")
    shop.faults({"method": "PUT", "status": 400, "code": "ValidationFailure"})
    result = ocsync("resume")
    told = [line for line in result.out.splitlines() if line.startswith("! ")]
    assert told[0].startswith("! address/new   400 ValidationFailure")
    assert told[1].startswith("! blocked by address/new: 15 steps, first inventory/")
    assert len(told) == 2
    assert ocsync("resume", "--json").code == 0


def test_what_failed_can_be_mended_and_resumed(ocsync: Run, shop: Shop) -> None:
    """The next resume makes one plan of what came back and of what was staged since."""
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "AddressID=wh-9", "QuantityAvailable=1")
    assert ocsync("resume").code == 3
    ocsync("stage", "set", ref, "AddressID=wh-1")

    result = ocsync("resume", "--verify")

    assert result.code == 0, result
    assert shop.get("/products/P0/inventoryrecords/R0")["AddressID"] == "wh-1"
    assert not shop.paused()
    assert len(ocsync("history", "--json").data["runs"]) == 2


def test_resume_of_named_targets_takes_them_and_what_they_wait_for(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    ocsync("pause", "inventory", "catalogs")
    ocsync("stage", "put", "address/wh-9", "Street1=x", "City=y", "Country=DE")
    ocsync("stage", "set", ref, "AddressID=wh-9")
    ocsync("stage", "put", "catalog/C", "Name=C")

    result = ocsync("resume", "inventory")

    assert result.code == 0, result
    assert [r["path"] for r in shop.writes()] == [
        "/v1/addresses/wh-9", "/v1/products/P0/inventoryrecords/R0",
    ]  # fmt: skip
    assert not shop.paused()
    assert shop.paused("/integrations/entitysync/catalogs")
    assert "catalogs  stays paused" in result.out


def test_a_plan_of_targets_says_what_stays_staged(ocsync: Run) -> None:
    ocsync("stage", "set", "catalog/C", "Name=x")
    empty = ocsync("plan", "inventory", "--exit-code")
    assert (empty.code, "no staged edit writes to inventory" in empty.out) == (0, True)
    assert "1 edit for other targets stays staged" in empty.out
    ocsync("stage", "set", "inventory/P/R", "QuantityAvailable=1")
    assert "1 edit for other targets stays staged" in ocsync("plan", "inventory").out


def test_an_adjustment_keeps_what_was_sold(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1, quantity=10)
    ocsync("stage", "adjust", ref, "QuantityAvailable+=5")
    shop.call("PATCH", "/products/P0/inventoryrecords/R0", {"QuantityAvailable": 8})

    assert ocsync("resume", "--verify").code == 0
    assert shop.get("/products/P0/inventoryrecords/R0")["QuantityAvailable"] == 13


def test_an_expectation_that_does_not_hold_stops_everything(ocsync: Run, shop: Shop) -> None:
    """Nothing is sent, everything is back, and what was paused for the run alone runs again."""
    refs = shop.stock(records=2)
    ocsync("stage", "set", refs[0], "QuantityAvailable=9", "--expect", "QuantityAvailable=5")
    ocsync("stage", "set", refs[1], "QuantityAvailable=9", "--expect-current")
    shop.call("PATCH", "/products/P0/inventoryrecords/R0", {"QuantityAvailable": 4})
    before = len(shop.writes())

    result = ocsync("resume")

    assert result.code == 6
    assert "changed nothing, so there is nothing to verify" in ocsync("verify").out
    assert "QuantityAvailable is 4, expected 5" in result.out
    assert "  nothing was sent because of the conflict; 1 other change is waiting" in result.out
    assert "blocked by" not in result.out
    assert f"next: ocsync stage show {refs[0]}, ocsync resume --on-conflict skip" in result.err
    assert len(shop.writes()) == before
    assert len(ocsync("stage", "list", "--json").data["staged"]) == 2
    assert not shop.paused()


def test_conflicts_can_be_skipped_or_overwritten(ocsync: Run, shop: Shop) -> None:
    refs = shop.stock(records=2)
    ocsync("stage", "set", refs[0], "QuantityAvailable=9", "--expect", "QuantityAvailable=1")
    ocsync("stage", "set", refs[1], "QuantityAvailable=9")

    skipped = ocsync("resume", "--on-conflict", "skip")
    assert skipped.code == 6
    assert "--on-conflict overwrite" in skipped.err
    assert len(shop.writes()) == 1
    assert shop.paused(), "something is left, so it stays paused"
    assert ocsync("resume", "--on-conflict", "overwrite").code == 0
    assert shop.get("/products/P0/inventoryrecords/R0")["QuantityAvailable"] == 9
    assert not shop.paused()


def test_a_put_meets_an_existing_entity_only_with_replace(ocsync: Run, shop: Shop) -> None:
    shop.seed(catalog=[{"ID": "C", "Name": "old", "Description": "kept?"}])
    ocsync("stage", "put", "catalog/C", "Name=new")
    refused = ocsync("resume")
    assert refused.code == 6
    assert "it exists already" in refused.out

    ocsync("stage", "drop", "catalog/C")
    ocsync("stage", "put", "catalog/C", "Name=new", "--replace")
    assert ocsync("resume", "--verify").code == 0
    assert shop.get("/catalogs/C")["Description"] is None


def test_verify_sees_what_somebody_changed(ocsync: Run, shop: Shop) -> None:
    """Less stock than written is a sale; anything else is a difference; gone is missing."""
    refs = shop.stock(records=4)
    ocsync("stage", "import", "-", stdin=stocktake(refs, 1))
    ocsync("resume")
    shop.call("PATCH", "/products/P0/inventoryrecords/R0", {"QuantityAvailable": 98})
    assert "~ 1 sold since" in ocsync("verify").out
    shop.call("PATCH", "/products/P1/inventoryrecords/R1", {"QuantityAvailable": 500})
    shop.call("DELETE", "/products/P2/inventoryrecords/R2")

    result = ocsync("verify", "--json")

    assert result.code == 5
    assert result.events[-1]["kinds"]["inventory"] == {
        "same": 1,
        "moved": 1,
        "differs": 1,
        "missing": 1,
    }


def test_a_plan_may_be_saved_before_the_first_sign_in(ocsync: Run, shop: Shop) -> None:
    """No marketplace is known then; the profile's and the journal's are the same."""
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    ocsync("plan", "--out", "saved.plan")
    assert ocsync("resume", "--plan", "saved.plan").code == 0
    assert shop.get("/products/P0/inventoryrecords/R0")["QuantityAvailable"] == 9


def test_a_saved_plan_is_stale_when_the_journal_differs(
    ocsync: Run, shop: Shop, tmp_path: Path
) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    ocsync("resume", "--dry-run")  # signs in, so that the marketplace is pinned
    assert ocsync("plan", "--out", "plan.json").code == 0
    ocsync("stage", "set", ref, "QuantityAvailable=8")
    assert ocsync("resume", "--plan", "plan.json").code == 6
    assert not shop.writes()

    ocsync("plan", "--out", "plan.json")
    assert ocsync("resume", "--plan", "plan.json").code == 0
    assert ocsync("resume", "--plan", "missing.json").code == 66


def test_a_dry_run_says_what_it_would_do_and_does_nothing(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    result = ocsync("resume", "--dry-run")

    assert result.code == 0
    assert "QuantityAvailable 5 -> 9" in result.out
    assert not shop.writes()
    assert not shop.paused()


def test_resume_with_nothing_staged_lifts_what_is_ours(ocsync: Run, shop: Shop) -> None:
    ocsync("pause", "inventory")
    result = ocsync("resume")
    assert result.code == 0
    assert not shop.paused()
    assert ocsync("resume").code == 0


def test_resume_as_json_is_a_stream_of_events(ocsync: Run, shop: Shop) -> None:
    [ref] = shop.stock(records=1)
    ocsync("stage", "set", ref, "QuantityAvailable=9")
    events = ocsync("resume", "--verify", "--json").events

    assert events[0] == {"type": "version", "format": 2}
    kinds = [event["type"] for event in events]
    assert kinds.index("planned") < kinds.index("step_ended") < kinds.index("summary")
    assert events[-1]["exit_code"] == 0
    assert events[-1]["run"]["counts"] == {"done": 1}


CASES: dict[str, tuple[str, ...]] = {
    "address": ("put address/A Street1=s City=c Country=DE",),
    "supplier": ("set supplier/S Active=true xp.rating=5",),
    "catalog": ("put catalog/C Name=Catalog Active=true",),
    "price-schedule": ('put price-schedule/PS Name=PS PriceBreaks:=[{"Quantity":1,"Price":9.5}]',),
    "buyer-group": ("put buyer-group/BG Name=Buyers DefaultCatalogID=C",),
    "buyer": ("set buyer/B Name=Buyer GroupID=BG",),
    "category": ("put category/C/K Name=Category ListOrder=1", "put category/C/K2 Name=Below ParentID=K"),
    "product": ("put product/P Name=Product DefaultPriceScheduleID=PS Inventory.Enabled=true xp.a.b=1",),
    "spec": ("put spec/SP Name=Size DefinesVariant=true",),
    "spec-option": ("put spec-option/SP/O Value=L PriceMarkupType=Percentage PriceMarkup=2.5",),
    "spec-product-assignment": ("assign spec-product-assignment/SP/P DefaultOptionID=O",),
    "usergroup": ("put usergroup/B/G Name=Group",),
    "buyer-user": ("set buyer-user/B/U FirstName=Ann",),
    "supplier-user": ("set supplier-user/S/SU Active=false",),
    "admin-user": ("set admin-user/AU Phone=0049",),
    "inventory": ("put inventory/P/R AddressID=A QuantityAvailable=3", "adjust inventory/P/R QuantityAvailable+=4"),
    "variants": ("generate product/P",),
    "variant": ("set variant/V/V Name=Variant", "set variant/P/P-O Active=true"),
    "variant-inventory": ("put variant-inventory/V/V/VR AddressID=A QuantityAvailable=2",),
    "catalog-assignment": ("assign catalog-assignment/C/B ViewAllCategories=true ViewAllProducts=false",
                           "assign catalog-assignment/C//BG ViewAllCategories=true ViewAllProducts=true"),
    "catalog-product": ("assign catalog-product/C/P",),
    "category-product": ("assign category-product/C/K/P ListOrder=2",),
    "category-assignment": ("assign category-assignment/C/K/B Visible=true", "assign category-assignment/C/K/B/G Visible=false"),
    "product-assignment": ("assign product-assignment/P/B PriceScheduleID=PS", "assign product-assignment/P/B/G"),
    "usergroup-assignment": ("assign usergroup-assignment/B/G/U",),
    "supplier-address": ("put supplier-address/S/SA Street1=s City=c Country=DE",),
    "supplier-usergroup": ("put supplier-usergroup/S/SG Name=Group",),
    "admin-usergroup": ("put admin-usergroup/AG Name=Group",),
    "supplier-usergroup-assignment": ("assign supplier-usergroup-assignment/S/SG/SU",),
    "admin-usergroup-assignment": ("assign admin-usergroup-assignment/AG/AU",),
    "locale": ("put locale/DE Currency=EUR Language=de-DE",),
    "locale-assignment": ("assign locale-assignment/DE/B", "assign locale-assignment/DE/B/G"),
    "product-supplier": ("assign product-supplier/P/S DefaultPriceScheduleID=PS",),
    "inventory-assignment": ("assign inventory-assignment/P/R/B", "assign inventory-assignment/P/R/B/G"),
    "variant-inventory-assignment": ("assign variant-inventory-assignment/V/V/VR/B",),
    "security-profile-assignment": ("assign security-profile-assignment/PROFILE/B", "assign security-profile-assignment/PROFILE//S//SU",
                                    "assign security-profile-assignment/PROFILE///AG"),
    "bundle": ("put bundle/BU Name=Bundle",),
    "bundle-product": ("assign bundle-product/BU/P DefaultQuantity=2",),
    "bundle-assignment": ("assign bundle-assignment/BU/B", "assign bundle-assignment/BU/B/G/S"),
    "catalog-bundle": ("assign catalog-bundle/C/BU",),
    "category-bundle": ("assign category-bundle/C/K/BU ListOrder=1",),
    "discount": ('put discount/D DiscountBreaks:=[{"Quantity":1,"Amount":10}] CatalogID=C CategoryID=K',),
    "discount-assignment": ("assign discount-assignment/D/B/G", "assign discount-assignment/D///BG"),
}  # fmt: skip
"""Edits of each kind, which `stage` takes; a kind without any fails the test below."""


def test_every_kind_survives_the_cycle(ocsync: Run, shop: Shop) -> None:
    """One entity of every kind is made or changed, and reads back as it was staged."""
    make_all_kinds(ocsync, shop)
    assert shop.get("/products/P/inventoryrecords/R")["QuantityAvailable"] == 7
    assert shop.get("/products/P")["xp"] == {"a": {"b": "1"}}
    assert shop.get("/catalogs/C/categories/K2")["ParentID"] == "K"
    assert len(shop.get("/products/assignments?productID=P")["Items"]) == 2
    assert ocsync("history", "--json").data["runs"][0]["kinds"].keys() == KINDS.keys()


def make_all_kinds(ocsync: Run, shop: Shop) -> None:
    """Make a marketplace with an entity of every kind, by one run."""
    missing = KINDS.keys() - CASES.keys()
    assert not missing, f"add edits of {', '.join(missing)} to CASES"
    shop.stock(records=1)
    shop.seed(
        buyer=[{"ID": "B", "Name": "B", "Active": True, "DefaultCatalogID": "C0"}],
        catalog=[{"ID": "C0", "Name": "C0"}],
        **{
            "buyer-user": [_user("U", BuyerID="B")],
            "supplier": [{"ID": "S", "Name": "S"}],
            "supplier-user": [_user("SU", SupplierID="S")],
            "admin-user": [_user("AU")],
            "security-profile": [{"ID": "PROFILE", "Name": "p", "Roles": ["ProductReader"]}],
        },
    )
    shop.seed(
        product=[
            {"ID": "V", "Name": "V", "Inventory": {"Enabled": True, "VariantLevelTracking": True}}
        ]
    )
    shop.seed(variant=[{"ProductID": "V", "ID": "V"}])
    for kind, edits in CASES.items():
        for words in edits:
            assert words.split()[1].startswith("product/" if kind == "variants" else f"{kind}/")
            assert ocsync("stage", *words.split()).code == 0, words

    result = ocsync("resume", "--verify")
    assert result.code == 0, result


def _user(name: str, **parents: str) -> dict[str, object]:
    return {"ID": name, "Username": f"user-{name}", "FirstName": "F", "LastName": "L",
            "Email": "a@b.example", "Active": True, **parents}  # fmt: skip
