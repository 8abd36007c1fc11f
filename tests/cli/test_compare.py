"""`compare` as the operator types it: two marketplaces, field by field, and one made like the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ocsync.emulator import EmulatorOptions, serve_in_thread
from ocsync.emulator.seeds import load_seed
from ocsync.engine.compare import joining
from ocsync.schema import KINDS
from tests.builders import Result, Shop
from tests.cli.test_resume import make_all_kinds
from tests.conftest import Run, add_profile

COMPARED = [kind.name for kind in KINDS.values() if not kind.action]
SIDES = ("--from", "sandbox", "--to", "production")


@pytest.fixture(scope="module")
def _production() -> Iterator[Shop]:
    with serve_in_thread(EmulatorOptions()) as emulator:
        yield Shop(emulator.url, emulator.emulator)


@pytest.fixture
def production(_production: Shop) -> Shop:
    """A second marketplace, empty."""
    emulator = _production.emulator
    emulator.reset()
    load_seed(emulator.market, {"targets": "all", "marketplace": "acme"}, emulator.publisher)
    return _production


@pytest.fixture
def two(run: Run, shop: Shop, production: Shop, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A workspace with profiles for both, each with its own secret."""
    assert run("init").code == 0
    add_profile(run, shop, "sandbox")
    monkeypatch.setenv("PRODUCTION_SECRET", "emulator")
    assert run("profile", "add", "production", "--api-url", production.url, "--client-id",
               "emulator", "--secret-env", "PRODUCTION_SECRET").code == 0  # fmt: skip
    return run


def compare(run: Run, *words: str) -> Result:
    return run("compare", *words, *SIDES)


def counts(result: Result) -> dict[str, tuple[int, ...]]:
    names = ("same", "differs", "only_source", "only_target")
    return {one["kind"]: tuple(one[name] for name in names) for one in result.data["kinds"]}


def differences(result: Result) -> dict[str, Any]:
    return {one["ref"]: one for one in result.data["differences"]}


def staged(run: Run, profile: str = "production") -> dict[str, Any]:
    rows = run("stage", "export", "--profile", profile, "--json").data["exported"]
    return {row["ref"]: row for row in rows}


def catalogs(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"catalog": [{"Name": row["ID"], **row} for row in rows]}


def test_the_table_and_the_fields(two: Run, shop: Shop, production: Shop) -> None:
    shop.seed(
        **catalogs({"ID": "A", "Active": True, "xp": {"color": "red"}}, {"ID": "B"}, {"ID": "N"})
    )
    production.seed(
        **catalogs({"ID": "A", "xp": {"color": "blue", "old": 1}}, {"ID": "B"}, {"ID": "Z"})
    )
    done = compare(two, "catalog")
    assert done.code == 0
    assert done.out.splitlines() == [
        "  kind      same   differs   only in sandbox   only in production",
        "  catalog      1         1                 1                    1",
        "",
        "  the values of production -> those of sandbox:",
        "  ~ catalog/A",
        "      Active  false -> true",
        '      xp.color  "blue" -> "red"',
        "      xp.old  1 -> null",
        "  + catalog/N  only in sandbox",
        "  - catalog/Z  only in production",
        "~ 3 of 4 refs differ",
    ]
    assert "not compared: OwnerID, CategoryCount" in done.err
    assert not shop.writes() + production.writes()
    assert not staged(two)
    assert compare(two, "catalog", "--exit-code").code == 2
    assert compare(two, "catalog/B", "--exit-code").code == 0
    facts = compare(two, "catalog", "--json")
    assert counts(facts) == {"catalog": (1, 1, 1, 1)}
    assert differences(facts)["catalog/A"] == {
        "ref": "catalog/A", "presence": "both",
        "fields": {"Active": {"source": True, "target": False},
                   "xp.color": {"source": "red", "target": "blue"},
                   "xp.old": {"source": None, "target": 1}},
    }  # fmt: skip


def test_what_is_staged_makes_the_target_like_the_source(
    two: Run, shop: Shop, production: Shop
) -> None:
    shop.seed(
        **catalogs({"ID": "A", "Active": True, "xp": {"color": "red"}}, {"ID": "B"}, {"ID": "N"})
    )
    production.seed(**catalogs({"ID": "A", "xp": {"old": 1}}, {"ID": "B"}, {"ID": "Z"}))
    done = compare(two, "catalog", "--stage", "--gone", "gone.txt")
    assert done.code == 0
    assert done.out.splitlines()[-1] == "+ 2 entries for 2 refs staged for production"
    assert "ocsync plan --diff --profile production" in done.err
    assert Path("gone.txt").read_text() == "catalog/Z\n"
    assert "ocsync delete --file gone.txt --dry-run --profile production" in done.err
    entries = staged(two)
    assert entries["catalog/A"]["expect"] == {"Active": False, "xp.color": None, "xp.old": 1}
    assert (entries["catalog/N"]["op"], entries["catalog/N"]["source"]) == ("put", "sandbox:2")
    assert not staged(two, "sandbox")

    again = compare(two, "catalog", "--stage")
    assert "the same 2 entries are staged already; nothing was staged" in again.out
    assert len(staged(two)) == 2
    assert two("resume", "--verify", "--profile", "production").code == 0
    assert counts(compare(two, "catalog", "--json")) == {"catalog": (3, 0, 0, 1)}
    assert production.get("/catalogs/Z")["ID"] == "Z"
    assert not shop.writes()


def test_a_value_changed_since_the_comparison_is_not_overwritten(
    two: Run, shop: Shop, production: Shop
) -> None:
    shop.seed(**catalogs({"ID": "A", "Description": "new"}))
    production.seed(**catalogs({"ID": "A", "Description": "old"}))
    assert compare(two, "catalog", "--stage").code == 0
    production.call("PATCH", "/catalogs/A", {"Description": "somebody else's"})
    assert two("resume", "--profile", "production").code == 6
    assert production.get("/catalogs/A")["Description"] == "somebody else's"


def test_a_put_is_refused_where_the_entity_exists_by_then(
    two: Run, shop: Shop, production: Shop
) -> None:
    shop.seed(**catalogs({"ID": "A"}))
    assert compare(two, "catalog", "--stage").code == 0
    production.seed(**catalogs({"ID": "A", "Name": "somebody else's"}))
    assert two("resume", "--profile", "production").code == 6
    assert production.get("/catalogs/A")["Name"] == "somebody else's"


def test_a_flag_that_is_null_is_not_set(two: Run, shop: Shop, production: Shop) -> None:
    """The settings of stock are null on one side, and all off on the other."""
    shop.seed(product=[{"ID": "P", "Name": "p"}])
    production.seed(product=[{"ID": "P", "Name": "p", "Inventory": {"Enabled": False}}])
    assert shop.get("/products/P")["Inventory"] != production.get("/products/P")["Inventory"]
    assert compare(two, "product", "--exit-code").code == 0


def test_one_marketplace_under_two_profiles(two: Run, shop: Shop) -> None:
    add_profile(two, shop, "again")
    done = two("compare", "catalog", "--from", "sandbox", "--to", "again")
    assert "both profiles are for marketplace" in done.err
    assert done.out.splitlines()[-1].startswith("= nothing to compare")


@pytest.mark.slow
def test_every_kind_is_promoted(two: Run, shop: Shop, production: Shop) -> None:
    """Users, variants and security profiles are made by other means; all else is staged."""
    assert two("profile", "use", "sandbox").code == 0
    make_all_kinds(two, shop)
    made = compare(two, *COMPARED, "--stage", "--json")
    assert made.code == 3
    left = {one["ref"]: one["why"] for one in made.data["not_staged"]}
    assert left["buyer-user/B/U"] == "its password is write-only"
    assert left["variant/V/V"] == "it is generated from specs"
    assert left["usergroup-assignment/B/G/U"] == "it needs buyer-user/B/U, which cannot be created"
    assert two("stage", "clear", "--profile", "production", "--yes").code == 0

    state = shop.state()
    by_hand = ("buyer-user", "supplier-user", "admin-user", "variant", "security-profile")
    parents = {"buyer": ["B"], "supplier": ["S"], "product": ["V"], "catalog": ["C0"]}
    production.seed(**{k: [r for r in state[k] if r["ID"] in ids] for k, ids in parents.items()})
    production.seed(**{kind: state[kind] for kind in by_hand if state.get(kind)})
    assert compare(two, *COMPARED, "--stage").code == 3
    assert two("stage", "generate", "product/P", "--profile", "production").code == 0
    for _ in range(2):  # what a generated variant holds is compared when it exists
        sent = two("resume", "--verify", "--profile", "production")
        assert sent.code == 0, sent
        made = compare(two, *COMPARED, "--stage", "--json")
        assert (made.code, made.data["not_staged"]) == (0, []), made.data["not_staged"]
    same = compare(two, *COMPARED, "--exit-code", "--list", "--json")
    assert same.code == 0, same.data["differences"]
    assert not same.data["differing"]
    assert {one["kind"] for one in same.data["kinds"] if one["same"]} == set(COMPARED)


@pytest.mark.parametrize("shown", ["null", "id"])
def test_what_names_the_marketplace_itself_is_left_out(
    two: Run, shop: Shop, production: Shop, shown: str
) -> None:
    for one, marketplace in ((shop, "emulated"), (production, "acme")):
        one.seed(
            catalog=[{"ID": "C", "Name": "c", "OwnerID": marketplace}],
            product=[{"ID": "P", "Name": "p", "OwnerID": marketplace}],
            buyer=[{"ID": "B", "Name": "b", "DefaultCatalogID": "C"}],
            **{"catalog-product": [{"CatalogID": "C", "ProductID": "P"}],
               "catalog-assignment": [{"CatalogID": "C", "BuyerID": "B", "ViewAllProducts": True,
                                       "ViewAllCategories": True}],
               "product-assignment": [{"ProductID": "P", "BuyerID": "B"}]},
        )  # fmt: skip
        one.switch(own_seller=shown)
    shop.seed(product=[{"ID": "NEW", "Name": "n", "OwnerID": shop.emulator.market.id}])
    done = compare(two, "product", "catalog", "product-assignment", "--stage", "--json")
    assert list(differences(done)) == ["product/NEW"]
    assert "OwnerID" not in staged(two)["product/NEW"]["fields"]


def test_ignored_fields(two: Run, shop: Shop, production: Shop) -> None:
    shop.seed(**catalogs(
        {"ID": "A", "Description": "x", "xp": {"erp": {"id": 1, "at": 1}, "note": 1}},
        {"ID": "N", "Active": True, "xp": {"erp": {"id": 2, "at": 2}, "note": 2}},
    ))  # fmt: skip
    production.seed(**catalogs(
        {"ID": "A", "Description": "y", "xp": {"erp": {"id": 9, "at": 9}, "note": 9}}
    ))  # fmt: skip
    options = ("--ignore", "Description", "--ignore", "xp.note", "--ignore", "Active",
               "--ignore", "Name", "--ignore", "xp.erp.at")  # fmt: skip
    done = compare(two, "catalog", "--stage", *options, "--json")
    assert differences(done)["catalog/A"]["fields"].keys() == {"xp.erp"}
    assert done.data["ignored"] == list(options[1::2])
    entries = staged(two)
    assert entries["catalog/A"]["fields"] == {"xp.erp": {"id": 1, "at": 9}}, "at stays as it is"
    assert entries["catalog/A"]["expect"] == {"xp.erp": {"id": 9, "at": 9}}
    assert entries["catalog/N"]["fields"] == {"Name": "N", "xp.erp": {"id": 2}}
    everything = compare(two, "catalog", "--ignore", "xp", "--ignore", "Description", "--json")
    assert counts(everything) == {"catalog": (1, 0, 1, 0)}


def test_what_a_selection_omits_on_one_side_is_read_by_its_id(
    two: Run, shop: Shop, production: Shop
) -> None:
    """A product that one marketplace has elsewhere, or a filter leaves out there, is not new."""
    for one, active in ((shop, True), (production, False)):
        one.seed(catalog=[{"ID": "C", "Name": "c"}],
                 product=[{"ID": "P", "Name": "p", "Active": active}, {"ID": "Q", "Name": "q"}])  # fmt: skip
    shop.seed(**{"catalog-product": [{"CatalogID": "C", "ProductID": "P"}]})
    production.seed(**{"catalog-product": [{"CatalogID": "C", "ProductID": "Q"}]})
    listed = compare(two, "product", "--catalog", "C", "--json")
    assert counts(listed) == {"product": (1, 1, 0, 0)}
    filtered = compare(two, "product", "--filter", "Active=true", "--json")
    assert counts(filtered) == {"product": (0, 1, 0, 0)}
    limited = compare(two, "product", "--limit", "1", "--json")
    assert counts(limited) == {"product": (0, 1, 0, 0)}
    assert counts(compare(two, "catalog-product", "--json")) == {"catalog-product": (0, 0, 1, 1)}


def test_inherited_values_differ_where_the_parent_does(
    two: Run, shop: Shop, production: Shop
) -> None:
    for one, text in ((shop, "new"), (production, "old")):
        one.seed(product=[
            {"ID": "PARENT", "Name": "p", "IsParent": True, "Description": text, "ShipWeight": 1},
            {"ID": "CHILD", "Name": "c", "ParentID": "PARENT"},
        ])  # fmt: skip
    shop.seed(product=[{"ID": "BORN", "Name": "n", "ParentID": "PARENT", "ShipWeight": 2}])
    assert shop.get("/products/CHILD")["Description"] == "new"
    done = compare(two, "product", "--stage", "--json")
    assert list(differences(done)) == ["product/BORN", "product/PARENT"]
    born = staged(two)["product/BORN"]["fields"]
    assert (born["ShipWeight"], "Description" in born) == (2, False)
    only_child = compare(two, "product/CHILD", "--json")
    assert only_child.data["differing"] == 0, "its parent is read, too"


def test_stock_that_may_be_a_sum_is_not_compared(two: Run, shop: Shop, production: Shop) -> None:
    shop.stock(records=2, products=1, quantity=5)
    production.stock(records=2, products=1, quantity=7)
    done = compare(two, "product", "inventory", "--stage", "--json")
    assert counts(done) == {"product": (1, 0, 0, 0), "inventory": (0, 2, 0, 0)}
    left_out = {one["kind"]: one["not_compared"] for one in done.data["kinds"]}
    assert "Inventory.QuantityAvailable" in left_out["product"]
    assert {"Address", "LastUpdated", "OwnerID"} <= set(left_out["inventory"])
    assert staged(two)["inventory/P0/R0"]["expect"] == {"QuantityAvailable": 7}
    ignored = compare(two, "inventory", "--ignore", "QuantityAvailable", "--exit-code")
    assert (ignored.code, ignored.out.splitlines()[-1]) == (
        0, "= all 2 refs are the same in sandbox and production",
    )  # fmt: skip


def test_many_rows_are_compared_in_parts(
    two: Run, shop: Shop, production: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joining, "PART_ROWS", 3)
    numbers = range(20)
    shop.seed(
        **catalogs(
            *({"ID": f"c{n:02}", "Name": str(n), "Active": n % 5 == 0} for n in numbers if n % 7)
        )
    )
    production.seed(**catalogs(*({"ID": f"C{n:02}", "Name": str(n)} for n in numbers if n % 4)))
    done = compare(two, "catalog", "--list", "--json")
    assert counts(done) == {"catalog": (10, 3, 4, 2)}
    found = differences(done)
    assert [ref.casefold() for ref in found] == sorted(ref.casefold() for ref in found)
    assert {ref for ref, one in found.items() if one["presence"] == "target"} == {
        "catalog/C07", "catalog/C14",
    }  # fmt: skip
    assert {ref for ref, one in found.items() if one["presence"] == "both"} == {
        "catalog/C05", "catalog/C10", "catalog/C15",
    }, "as the target spells them"  # fmt: skip
    short = compare(two, "catalog", "--json")
    assert [one["ref"] for one in short.data["differences"]] == list(found)[: len(found)][:10]


def test_only_the_first_differences_are_shown(two: Run, shop: Shop, production: Shop) -> None:
    shop.seed(**catalogs(*({"ID": f"C{n:02}"} for n in range(13))))
    done = compare(two, "catalog")
    assert "    ... and 3 more (--list)" in done.out.splitlines()
    assert "catalog/C12" not in done.out
    assert "catalog/C12" in compare(two, "catalog", "--list").out


@pytest.mark.parametrize(("words", "code", "texts"), [
    (("catalgo", *SIDES), 64, ("is not a kind", "catalog")),
    (("variants", *SIDES), 64, ("not an entity",)),
    (("catalog", "--from", "sandbox", "--to", "sandbox"), 64, ("are both profile sandbox",)),
    (("catalog", "--from", "sandbox"), 64, ("are both profile sandbox",)),
    (("catalog", "--from", "sandbx", "--to", "production"), 78, ("no profile sandbx", "sandbox")),
    (("catalog", "--from", "sandbox", "--to", "prod"), 78, ("no profile prod",)),
    (("catalog", *SIDES, "--ignore", "Nam"), 64, ("Nam is not a field of catalog", "Name")),
    (("catalog", *SIDES, "--recreated"), 64, ("only with --stage",)),
    (("catalog-assignment", *SIDES, "--filter", "Active=true"), 64, ("cannot filter",)),
    (("catalog", *SIDES, "--gone", "there.txt"), 64, ("there.txt exists already",)),
], ids=lambda value: "" if isinstance(value, tuple) else str(value))  # fmt: skip
def test_refusals(two: Run, words: tuple[str, ...], code: int, texts: tuple[str, ...]) -> None:
    Path("there.txt").touch()
    done = two("compare", *words)
    assert (done.code, done.out) == (code, "")
    assert all(text in done.err for text in texts), done.err


def test_a_marketplace_that_cannot_be_read(
    two: Run, shop: Shop, production: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The profile is named, and nothing is staged."""
    shop.seed(**catalogs({"ID": "A"}))
    monkeypatch.setenv("PRODUCTION_SECRET", "wrong")
    refused = compare(two, "catalog", "--stage")
    assert refused.code == 4
    assert "profile production: " in refused.err
    assert "; nothing was staged" in refused.err
    monkeypatch.setenv("PRODUCTION_SECRET", "emulator")

    shop.seed(clients=[{"ID": "emulator", "Secret": "emulator", "Roles": ["ProductReader"]}])
    roles = compare(two, "catalog", "--stage")
    assert (roles.code, roles.out) == (4, "")
    assert "profile sandbox: " in roles.err
    assert not staged(two)


@pytest.mark.slow  # it is tried several times
def test_a_marketplace_that_cannot_be_reached(two: Run, shop: Shop, production: Shop) -> None:
    shop.seed(**catalogs({"ID": "A"}))
    file = Path(".ocsync/profiles/production/profile.toml")
    file.write_text(file.read_text().replace(production.url, "http://127.0.0.1:9"))
    done = compare(two, "catalog", "--stage")
    assert (done.code, done.out) == (75, "")
    assert "profile production: " in done.err
    assert not staged(two)


def test_deleted_refs_are_staged_only_with_recreated(
    two: Run, shop: Shop, production: Shop
) -> None:
    for one, text in ((shop, "new"), (production, "old")):
        one.seed(**catalogs({"ID": "A", "Description": text}))
    assert two("delete", "catalog/A", "--yes", "--profile", "production").code == 0
    production.seed(**catalogs({"ID": "A", "Description": "old"}))
    refused = compare(two, "catalog", "--stage")
    assert refused.code == 65
    assert "--recreated" in refused.err
    assert not staged(two)
    assert compare(two, "catalog", "--stage", "--recreated").code == 0
    assert two("resume", "--profile", "production").code == 0
    assert production.get("/catalogs/A")["Description"] == "new"


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_of_one_is_imported_into_the_other(
    two: Run, shop: Shop, production: Shop, form: str
) -> None:
    """In one pipe, with the secret of each profile from its own variable."""
    shop.seed(**catalogs({"ID": "A", "Active": True}))
    production.seed(**catalogs({"ID": "A"}))
    words = ("export", "catalog", "-", "--no-expect", "--format", form, "--profile", "sandbox")
    exported = two(*words)
    done = two("stage", "import", "-", "--profile", "production", stdin=exported.out.encode())
    assert done.code == 0, done
    assert staged(two)["catalog/A"]["fields"]["Active"] is True
    assert two("resume", "--profile", "production").code == 0
    assert production.get("/catalogs/A")["Active"] is True
    assert json.loads(json.dumps(shop.get("/catalogs/A")))["Active"] is True


def test_a_place_that_neither_has(two: Run, shop: Shop, production: Shop) -> None:
    production.seed(catalog=[{"ID": "C", "Name": "c"}], product=[{"ID": "P", "Name": "p"}],
                    **{"catalog-product": [{"CatalogID": "C", "ProductID": "P"}]})  # fmt: skip
    result = compare(two, "product", "--catalog", "NOPE")
    assert (result.code, "catalog/NOPE exists in neither marketplace" in result.err) == (64, True)
    result = compare(two, "product", "--catalog", "C")
    assert (result.code, "catalog/C does not exist in sandbox" in result.err) == (0, True), result
