"""The probe finds how a marketplace behaves: any emulator's switches, and no trace is left."""

from __future__ import annotations

import json
import random
import tomllib
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import tomli_w

from ocsync.emulator import EmulatorOptions
from ocsync.engine.probe.answers import Answer
from ocsync.engine.probe.effects import products_resent, reference_seconds, settle_seconds
from ocsync.engine.probe.questions import QUESTIONS
from tests.builders import Result, Shop
from tests.conftest import Run, add_profile

WAIT = ("--wait", "0.4s", "--settle", "30s")
HINTS = get_type_hints(EmulatorOptions)
CHOICES = {q.switch: get_args(HINTS[q.switch]) for q in QUESTIONS.values() if q.switch and q.values}
SECONDS = dict.fromkeys(("product_lag", "pause_delay", "reference_lag"), (0.0, 0.5))
USUAL = {name for name, question in QUESTIONS.items() if not question.paced}
SWITCHES: dict[str, tuple[Any, ...]] = {**CHOICES, **SECONDS, "lag_get": (False, True)}


@pytest.fixture
def probed(ocsync: Run, shop: Shop, heard: str) -> Run:
    """The workspace with a listener for catalogs and products; suppliers have no sync config."""
    shop.call("DELETE", "/integrations/entitysync/suppliers")
    words = ("--endpoint", heard, "--secret-env", "LISTENER")
    assert ocsync("delivery", "attach", "catalogs", "products", *words).code == 0
    return ocsync


def found_by(run: Run, shop: Shop, switches: dict[str, Any]) -> dict[str, Any]:
    """The switches that a probe finds where those of the emulator are *switches*."""
    from ocsync.engine.probe.rehearsal import read_answer_file
    from ocsync.engine.probe.rehearsal import switches as switches_of

    shop.switch(**switches)
    before = _entities(shop)
    done = run("probe", "--yes", *WAIT, "--json")
    rows = json.loads(done.out.splitlines()[-1])["answers"]
    unanswered = [r["name"] for r in rows if r["unanswered"] and r["name"] in USUAL]
    open_ones = ["updated-after-delete"] * (switches.get("while_paused") == "drop")
    code = 3 if open_ones else 0
    assert (done.code, unanswered) == (code, open_ones), (
        switches,
        dict(shop.emulator.sender.counts),
        rows,
    )
    assert _entities(shop) == before
    assert not shop.all_paused()
    Path("answers.json").write_text(done.out.splitlines()[-1])
    return switches_of(read_answer_file(Path("answers.json")))


def _entities(shop: Shop) -> dict[str, Any]:
    state = shop.state()
    return {name: state.get(name) for name in ("catalog", "product", "buyer", "catalog-assignment")}


def hold(found: dict[str, Any], switches: dict[str, Any]) -> None:
    """Fail unless the switches *found* are *switches*, and else the usual ones.

    Where changes during a pause are dropped, what would become of a deleted one cannot be seen.
    """
    unseen = {"updated_after_delete"} if switches.get("while_paused") == "drop" else set()
    assert found.keys() == SWITCHES.keys() - unseen
    for name, value in found.items():
        expected = switches.get(name, getattr(EmulatorOptions(), name))
        if name in SECONDS:
            assert bool(value) == bool(expected), (name, value, expected)
            assert abs(value - expected) < 0.8, (name, value, expected)
        elif name == "lag_get":
            assert value == (expected and bool(switches.get("product_lag"))), (name, found)
        else:
            assert value == expected, (name, value, expected)


def test_every_switch_has_its_answers() -> None:
    for question in QUESTIONS.values():
        if question.switch and question.values:
            assert set(question.values) == set(get_args(HINTS[question.switch])), question.name


def test_a_probe_finds_the_least_likely(probed: Run, shop: Shop) -> None:
    other = {name: values[-1] for name, values in CHOICES.items()}
    found = found_by(probed, shop, other)
    hold(found, other)


COMBINATIONS = [
    {},
    *({name: value} for name, values in SWITCHES.items() for value in values[1:]),
    *({name: chance.choice(values) for name, values in SWITCHES.items()}
      for chance in map(random.Random, range(50))),
]  # fmt: skip
"""Each single switch, and random combinations of all."""
_PARTS = 8


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(_PARTS))
def test_a_probe_finds_any_switches(probed: Run, shop: Shop, part: int) -> None:
    usual = {name: getattr(EmulatorOptions(), name) for name in SWITCHES}
    for switches in COMBINATIONS[part::_PARTS]:
        hold(found_by(probed, shop, {**usual, **switches}), switches)


def test_without_a_listener_what_needs_one_is_open(ocsync: Run, shop: Shop) -> None:
    done = ocsync("probe", "--yes", *WAIT, "--json")
    assert done.code == 3, done
    rows = json.loads(done.out.splitlines()[-1])["answers"]
    open_ones = {
        row["name"]: row["unanswered"]
        for row in rows
        if row["value"] is None and row["name"] in USUAL
    }
    listening = {name for name, question in QUESTIONS.items() if question.listens}
    assert open_ones.keys() == listening | {"missing-config"}
    assert all("no listener runs" in open_ones[name] for name in listening)
    shown = ocsync("probe", "--show")
    assert (shown.code, "nested-xp             replace" in shown.out) == (0, True)
    assert f"{len(USUAL) - len(open_ones)} of {len(USUAL)} questions answered" in shown.err


def test_some_questions_are_asked_and_the_pin_stays(ocsync: Run) -> None:
    assert ocsync("probe", "xp-null", "--yes").code == 0
    assert ocsync("profile", "show", "--json").data["pinned"] == "emulator"
    assert ocsync("status").code == 0
    assert ocsync("probe", "id-case", "--yes").code == 0
    rows = ocsync("probe", "--show", "--json").data["answers"]
    assert [row["name"] for row in rows if row["value"]] == ["xp-null", "id-case"]
    assert ocsync("probe", "nothing").code == 64


def answers(done: Result) -> dict[str, Any]:
    """What `probe --json` found, by the question."""
    rows = json.loads(done.out.splitlines()[-1])["answers"]
    return {row["name"]: row["value"] for row in rows if row["value"] is not None}


def test_bulk_jobs_are_looked_at(ocsync: Run, shop: Shop) -> None:
    names = ("bulk-upsert", "bulk-body", "bulk-visible", "bulk-repeat", "duplicate-post")
    done = ocsync("probe", *names, "--yes", "--json")
    assert done.code == 0, done
    found = answers(done)
    assert found.pop("bulk-visible") in ("seen", "not seen")
    assert found == {"bulk-upsert": "replace", "bulk-body": "both", "bulk-repeat": "accepted",
                     "duplicate-post": "409"}  # fmt: skip
    assert not shop.state().get("price-schedule")
    shop.switch(bulk="absent")
    shown = ocsync("probe", "bulk-body", "--yes")
    assert ("absent" in shown.out, shown.code) == (True, 0), shown
    refused = {"method": "POST", "path": "bulk/", "status": 403, "code": "InsufficientRole"}
    shop.faults({**refused, "times": 9})
    shown = ocsync("probe", "bulk-body", "--yes")
    assert ("no answer" in shown.out, shown.code) == (True, 3), "a role is missing, not the jobs"


@pytest.mark.slow
@pytest.mark.parametrize(("resync", "paused", "value"), [
    ("own", "queue", "none"), ("touched", "queue", "held"), ("touched", "drop", "none"),
])  # fmt: skip
def test_the_messages_of_a_bulk_job(
    probed: Run, shop: Shop, resync: str, paused: str, value: str
) -> None:
    shop.switch(product_resync=resync, while_paused=paused)
    done = probed("probe", "bulk-messages", "--yes", *WAIT, "--json")
    assert answers(done) == {"bulk-messages": value}


@pytest.mark.slow
@pytest.mark.parametrize("rate", [0, 30])
def test_the_rate_limit_is_looked_for_on_request_only(ocsync: Run, shop: Shop, rate: int) -> None:
    shop.switch(rate=rate)
    done = ocsync("probe", "rate-limit", "--pace", "--yes", "--json")
    found = answers(done)["rate-limit"]
    assert found == 0 if rate == 0 else 0.7 * rate <= found <= 1.3 * rate, done
    done = ocsync("probe", "bulk-limit", "--pace", "--yes", "--json")
    assert answers(done)["bulk-limit"] == 20, done


def test_load_is_put_on_a_marketplace_on_request_only(ocsync: Run, shop: Shop) -> None:
    refused = ocsync("probe", "rate-limit", "--yes")
    assert (refused.code, "ocsync probe rate-limit --pace" in refused.err) == (64, True)
    assert not shop.requests()


def test_a_description_that_differs_is_told(ocsync: Run, shop: Shop) -> None:
    def said() -> tuple[Any, str]:
        done = ocsync("probe", "api-description", "--yes", "--json")
        [row] = [row for row in json.loads(done.out)["answers"] if row["value"]]
        return row, ocsync("doctor", "--offline").out

    row, told = said()
    assert (row["value"], row["details"], "OrderCloud's API" in told) == ("same", [], False)
    schedules = shop.emulator._root.literals["priceschedules"]
    del schedules.verbs["POST"], schedules.parameter.verbs["PATCH"]  # type: ignore[union-attr]
    row, told = said()
    gone = "price-schedule: PATCH /priceschedules/{PriceScheduleID} is missing"
    assert (row["value"], row["details"]) == ("differs", [gone])
    assert gone in told
    assert "1 difference" in told
    assert gone in ocsync("probe", "--show").out


def test_production_is_never_probed(ocsync: Run, shop: Shop) -> None:
    ocsync("profile", "edit", "--production")
    refused = ocsync("probe", "--yes")
    assert (refused.code, "probe creates nothing" in refused.err) == (64, True)
    assert not [r for r in shop.requests() if r["method"] in ("PUT", "POST", "PATCH")]


def test_it_asks_first(ocsync: Run, shop: Shop) -> None:
    refused = ocsync("probe")
    assert (refused.code, "ocsync-probe" in refused.err) == (64, True)
    assert not _entities(shop)["catalog"]


def test_what_a_crash_left_is_cleaned(ocsync: Run, shop: Shop) -> None:
    shop.faults({"method": "DELETE", "path": "/catalogs/ocsync-probe", "status": 400})
    failed = ocsync("probe", "xp-null", "--yes")
    assert failed.code == 1, failed
    assert len(_entities(shop)["catalog"]) == 1
    shop.faults()
    ocsync("pause", "catalogs", "--reason", "ocsync probe")
    told = ocsync("doctor", "--offline")
    assert (told.code, "a probe left 1 entity behind" in told.out) == (1, True), told
    cleaned = ocsync("probe", "--clean")
    assert (cleaned.code, "1 entity" in cleaned.out) == (0, True), cleaned
    assert not _entities(shop)["catalog"]
    assert not shop.all_paused()
    assert "nothing to delete" in ocsync("probe", "--clean").out


def test_an_emulator_is_like_the_marketplace(ocsync: Run, shop: Shop) -> None:
    from ocsync.engine.probe.rehearsal import read_answer_file, switches

    shop.switch(nested_xp="merge", xp_null="ignored")
    assert ocsync("probe", "nested-xp", "xp-null", "--yes").code == 0
    Path("a.json").write_text(ocsync("probe", "--show", "--json").out)
    like = {"nested_xp": "merge", "xp_null": "ignored"}
    assert switches(read_answer_file(Path("a.json"))) == like
    toml = Path(".ocsync/profiles/test/marketplace.toml")
    assert switches(read_answer_file(toml)) == like
    add_profile(ocsync, shop, "blank")
    for name, code in (("blank", 64), ("none.json", 66), ("bad.json", 65)):
        Path("bad.json").write_text(
            '{"answers": [{"name": "xp-null", "value": "x", "evidence": ""}]}'
        )
        refused = ocsync("emulator", "--like", name, "--port", "0")
        assert refused.code == code, refused


@pytest.mark.quick(1)
@pytest.mark.parametrize(("switch", "text"), [
    ("touched", "also resends products"), ("own", "may also resend categories ("),
    (None, "may also resend categories, products ("),
], ids=str)  # fmt: skip
def test_the_plan_knows_what_the_probe_found(
    attached: Run, shop: Shop, heard: str, switch: str | None, text: str
) -> None:
    if switch:
        shop.switch(product_resync=switch)
        words = ("--endpoint", heard, "--secret-env", "LISTENER")
        assert attached("delivery", "attach", "catalogs", *words).code == 0
        assert attached("probe", "product-resync", "--yes", *WAIT).code == 0
    attached("stage", "set", "catalog/C", "Active=true")
    shown = attached("plan").out
    assert text in shown, shown


def kept(run: Run, **answers: str | float) -> None:
    """Have these answers in the profile, as a probe does."""
    path = Path(".ocsync/profiles/test/marketplace.toml")
    facts = {n.replace("_", "-"): {"value": v, "evidence": ""} for n, v in answers.items()}
    path.write_bytes(tomli_w.dumps({**tomllib.loads(path.read_text()), "probe": facts}).encode())
    assert run("probe", "--show").code == 0


@pytest.mark.parametrize(("answers", "shown"), [
    ({}, "keys you left out may remain"), ({"nested_xp": "merge"}, "keys you left out remain"),
    ({"nested_xp": "replace"}, None),
], ids=str)  # fmt: skip
def test_the_plan_knows_whether_xp_merges(
    attached: Run, answers: dict[str, str], shown: str | None
) -> None:
    kept(attached, **answers)
    attached("stage", "set", "product/P1", 'xp.a:={"b": 1}')
    out = attached("plan").out
    assert (shown in out) if shown else ("keys you left out" not in out), out


@pytest.mark.parametrize(("answers", "resent"), [
    ({}, None), ({"inventory_feeds": "products"}, True), ({"inventory_feeds": "nothing"}, False),
    ({"product_resync": "touched"}, None),
], ids=str)  # fmt: skip
def test_inventory_resends_products_or_not(answers: dict[str, str], resent: bool | None) -> None:
    found = {n.replace("_", "-"): Answer(v, "") for n, v in answers.items()}
    assert products_resent(found, ["inventory"]) is resent
    assert products_resent(found, ["inventory", "catalog"]) is (resent or (None if not
        answers or "inventory_feeds" in answers else True))  # fmt: skip


def test_measured_lags_only_lengthen_waits() -> None:
    lags = {"product-list-lag": Answer(20.0, ""), "reference-lag": Answer(5.0, "")}
    assert (settle_seconds({}), reference_seconds({})) == (30, 0)
    assert (settle_seconds(lags), reference_seconds(lags)) == (60, 15)
    assert settle_seconds({"product-list-lag": Answer(0.0, "")}) == 30


def test_a_resume_waits_as_long_as_the_probe_found(attached: Run, shop: Shop) -> None:
    """The usual wait for a new entity is 10 s; the note names the longer one."""
    kept(attached, reference_lag=5.0)
    shop.switch(reference_lag=0.4)
    for ref in ("catalog/NEW", "category/NEW/C"):
        attached("stage", "put", ref, "Name=n")
    done = attached("resume")
    assert (done.code, "for up to 15 s" in done.err) == (0, True), done
