"""Delivery configurations from a file: what is compared, sent, kept, asked and refused."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.builders import Result, Shop
from tests.conftest import Run

KAFKA = {
    "BootstrapServers": "k.example:1",
    "SaslUsername": "u",
    "SaslPassword": "theirs",
    "Topic": "t",
}
HTTP = {"Endpoint": "https://a.example", "Secret": "old"}
ENV = {"env": "PASSWORD"}
WHERE = "/integrations/deliveryconfig"
FILE = """
[[deliveries]]
ID = "stock"
Name = "Stock"
Enabled = true
[deliveries.DeliveryTargets.Kafka]
BootstrapServers = "k.example:9093"
SaslUsername = "u"
SaslPassword = { env = "PASSWORD" }
Topic = "stock"

[[deliveries]]
ID = "emulator-log"
[deliveries.DeliveryTargets.Http]
Endpoint = "https://a.example"
Secret = { command = "echo from-a-command" }
"""

Apply = Callable[..., Result]


@pytest.fixture
def apply(ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Apply:
    """Applies a document, or the text of a TOML file."""
    monkeypatch.setenv("PASSWORD", "s3cret")

    def call(content: Any, *words: str) -> Result:
        name = "d.toml" if isinstance(content, str) else "d.json"
        Path(name).write_text(content if isinstance(content, str) else json.dumps(content))
        result = ocsync("delivery", "apply", name, *words)
        assert "s3cret" not in result.out + result.err
        return result

    return call


def put(shop: Shop, targets: dict[str, Any], own: str = "emulator-log", **more: Any) -> None:
    body = {"Name": "x", "Enabled": True, "DeliveryTargets": targets, **more}
    assert shop.call("PUT", f"{WHERE}/{own}", body).status_code == 200


def stored(shop: Shop, own: str = "emulator-log") -> dict[str, Any]:
    """The targets with their secrets, as nobody but the platform has them."""
    targets = copy.deepcopy(shop.emulator.market.delivery_configs[own]["DeliveryTargets"])
    return {name: target for name, target in targets.items() if target}


def sent(shop: Shop) -> list[tuple[str, str]]:
    """The writes of delivery configurations, but for those of the probe."""
    found = [(r["method"], r["path"].rpartition("/")[2]) for r in shop.requests()
             if "/deliveryconfig/" in r["path"] and r["method"] != "GET"]  # fmt: skip
    return [one for one in found if one[1] != "ocsync-probe"]


def one(targets: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"ID": "emulator-log", "DeliveryTargets": targets, **more}


def test_several_at_once_and_again_changes_nothing(apply: Apply, shop: Shop, ocsync: Run) -> None:
    put(shop, {"Kafka": KAFKA})
    before = len(sent(shop))
    first = apply(FILE, "--yes", "--run-commands")
    assert first.code == 0, first
    assert stored(shop, "stock")["Kafka"]["SaslPassword"] == "s3cret"
    assert stored(shop) == {
        "Kafka": KAFKA, "Http": {"Endpoint": "https://a.example", "Secret": "from-a-command"},
    }  # fmt: skip
    assert sent(shop)[before:] == [("PUT", "stock"), ("PATCH", "emulator-log")]
    assert "stock  new" in first.out
    assert "from environment variable PASSWORD" in first.out
    assert "Kafka  not in the file; kept" in first.out
    assert "ocsync delivery bind TARGET stock" in first.err
    requests = len(sent(shop))
    again = apply(FILE, "--yes")
    assert (again.code, len(sent(shop))) == (0, requests)
    assert again.out.count("cannot be compared; --secrets sends it") == 2
    rotated = apply(FILE, "--yes", "--secrets", "--run-commands", "--json")
    assert sent(shop)[requests:] == [("PATCH", "stock"), ("PATCH", "emulator-log")]
    assert rotated.data["deliveries"][0]["edits"] == [
        {"edit": "change", "path": "Kafka.SaslPassword", "before": None, "after": None,
         "secret_from": "environment variable PASSWORD"},
    ]  # fmt: skip
    shown = ocsync("delivery", "show", "stock").out
    assert apply(json.loads(shown), "--yes").code == 0, "what is shown can be applied"
    assert len(sent(shop)) == requests + 2


def test_a_dry_run_and_a_question_send_nothing(apply: Apply, shop: Shop) -> None:
    put(shop, {"Http": HTTP})
    before = len(sent(shop))
    file = one({"Http": {**HTTP, "Endpoint": "https://b.example", "Secret": ENV}}, Enabled=False)
    dry = apply(file, "--dry-run")
    assert dry.code == 0
    assert "Http.Endpoint  https://a.example → https://b.example" in dry.out
    assert "cannot be compared; sent from environment variable PASSWORD" in dry.out
    assert "is disabled are probably lost; it is not a pause" in dry.out
    assert "dry run: nothing was sent" in dry.err
    facts = apply(file, "-n", "--json").data
    assert (facts["sent"], facts["dry_run"], facts["deliveries"][0]["action"]) == (
        False, True, "change",
    )  # fmt: skip
    asked = apply(file)
    assert (asked.code, "Send this to 1 delivery configuration?" in asked.err) == (64, True)
    assert len(sent(shop)) == before
    assert apply(file, "--yes").code == 0
    assert stored(shop)["Http"] == {"Endpoint": "https://b.example", "Secret": "s3cret"}


def test_a_target_is_taken_away_only_when_the_file_says_so(apply: Apply, shop: Shop) -> None:
    put(shop, {"Http": HTTP, "Kafka": KAFKA})
    gone = apply(
        '[[deliveries]]\nID = "emulator-log"\n[deliveries.DeliveryTargets]\nHttp = false\n', "--yes"
    )
    assert (gone.code, "removed (https://a.example)" in gone.out) == (0, True), gone
    assert "cannot be restored" in gone.out
    assert stored(shop) == {"Kafka": KAFKA}
    assert "matches the file" in apply(one({"Http": None}), "--yes").out
    empty = apply(one({"Kafka": None}), "--yes")
    assert (empty.code, "would be empty" in empty.err) == (65, True)


OTHER = {"Endpoint": "https://b.example"}
CUSTOM = {"CustomAuthHeaderName": "X-Key", "CustomAuthHeaderValue": "k"}
SEARCH: dict[str, Any] = {"Domain": "d", "Source": "s", "Endpoint": "https://s.example", "Entity": "e", "ApiKey": "theirs",
          "Content": {"Locales": ["en"], "Http": {"Endpoint": "https://c.example", **CUSTOM}}}  # fmt: skip
PATCHES: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("the secret is in the file", {"Http": HTTP}, {"Http": {**OTHER, "Secret": ENV}}, {"Http": {**OTHER, "Secret": "s3cret"}}),
    ("beside another", {"Http": HTTP, "Kafka": KAFKA}, {"Http": {**OTHER, "Secret": ENV}}, {"Http": {**OTHER, "Secret": "s3cret"}, "Kafka": KAFKA}),
    ("the secret is not in the file", {"Http": HTTP}, {"Http": OTHER}, {"Http": {**HTTP, **OTHER}}),
    ("a header whose value is hidden", {"Http": {**HTTP, **CUSTOM}}, {"Http": {**OTHER, "Secret": ENV}}, {"Http": {**OTHER, "Secret": "s3cret", **CUSTOM}}),
    ("a field that is not in the file", {"AzureBlob": {"ConnectionString": "c", "OverrideContainerName": "n"}}, {"AzureBlob": {"ConnectionString": ENV}}, {"AzureBlob": {"ConnectionString": "c", "OverrideContainerName": "n"}}),
    ("a new one beside another", {"Kafka": KAFKA}, {"Http": {**OTHER, "Secret": ENV}}, {"Kafka": KAFKA, "Http": {**OTHER, "Secret": "s3cret"}}),
    ("a nested secret", {"SearchIngestion": SEARCH}, {"SearchIngestion": {**{n: SEARCH[n] for n in ("Domain", "Source", "Entity")}, "Endpoint": "https://t.example", "ApiKey": ENV}},
     {"SearchIngestion": {**SEARCH, "Endpoint": "https://t.example", "ApiKey": "s3cret"}}),
    ("a part of a nested target", {"SearchIngestion": SEARCH}, {"SearchIngestion": {**SEARCH, "ApiKey": ENV, "Content": {"Locales": ["de"], "Http": {"CustomAuthHeaderValue": ENV}}}},
     {"SearchIngestion": {**SEARCH, "ApiKey": "s3cret", "Content": {"Locales": ["de"], "Http": {**SEARCH["Content"]["Http"], "CustomAuthHeaderValue": "s3cret"}}}}),
    ("one taken away", {"Http": HTTP, "Kafka": KAFKA}, {"Http": False}, {"Kafka": KAFKA}),
    ("all of them named", {"Http": HTTP, "Kafka": KAFKA}, {"Http": {**OTHER, "Secret": ENV}, "Kafka": {**KAFKA, "SaslPassword": ENV}}, {"Http": {**OTHER, "Secret": "s3cret"}, "Kafka": KAFKA}),
]  # fmt: skip


@pytest.mark.quick(3)
@pytest.mark.parametrize(
    ("targets", "file", "then"), [case[1:] for case in PATCHES], ids=[c[0] for c in PATCHES]
)
def test_nothing_of_others_is_lost_whatever_a_patch_does(
    apply: Apply, shop: Shop, targets: dict[str, Any], file: dict[str, Any], then: dict[str, Any]
) -> None:
    """What PATCH does to what it does not name is not documented: it comes out right, or is refused."""
    for way in ("merge", "targets", "replace"):
        put(shop, targets)
        shop.switch(nested_targets=way)
        result = apply(one(file), "--yes")
        if result.code == 64:
            assert way != "merge"
            assert re.search("OrderCloud (would|cannot) remove", result.err)
            assert stored(shop) == targets, way
        else:
            assert result.code == 0, result
            assert stored(shop) == then, way
        assert "ocsync-probe" not in shop.emulator.market.delivery_configs


def test_a_nested_secret_that_the_file_lacks_is_asked_for(apply: Apply, shop: Shop) -> None:
    put(shop, {"SearchIngestion": SEARCH})
    part = {"SearchIngestion": {**SEARCH, "ApiKey": ENV, "Content": {"Locales": ["de"]}}}
    result = apply(one(part), "--yes")
    assert result.code == 65, result
    assert "SearchIngestion.Content.Http.CustomAuthHeaderValue" in result.err
    assert stored(shop) == {"SearchIngestion": SEARCH}


@pytest.mark.parametrize(("name", "code"), [
    ("beside another", 64), ("the secret is in the file", 0), ("all of them named", 64), ("one taken away", 64),
])  # fmt: skip
def test_where_a_patch_replaces_all_every_target_must_be_named(
    apply: Apply, shop: Shop, name: str, code: int
) -> None:
    [(targets, file)] = [(t, f) for n, t, f, _ in PATCHES if n == name]
    put(shop, targets)
    shop.switch(nested_targets="replace")
    assert apply(one(file), "--yes").code == code
    if name == "all of them named":
        assert apply(one(file), "--yes", "--secrets").code == 0
        assert stored(shop)["Kafka"] == {**KAFKA, "SaslPassword": "s3cret"}


WRONG = """
[[deliveries]]
ID = "a b"
[[deliveries]]
ID = "one"
colour = 1
Enabled = "yes"
Name = ""
targets = ["inventory"]
[deliveries.DeliveryTargets.Http]
Endpoint = { env = "URL" }
Secret = "l1teral"
CustomAuthHeaderValue = { env = "X" }
[deliveries.DeliveryTargets.Kafka]
Topic = 5
SaslPassword = { env = "A", command = "b" }
[deliveries.DeliveryTargets.Fax]
[deliveries.DeliveryTargets.SearchIngestion.Content.Http]
CustomAuthHeaderValue = "l1teral"
[[deliveries]]
ID = "ONE"
[[deliveries]]
Name = "x"
"""


def test_every_fault_is_told_with_its_place(apply: Apply, shop: Shop) -> None:
    result = apply(WRONG, "--yes", "--json")
    assert result.code == 65
    assert "l1teral" not in result.err
    told = {p["field"]: p["why"] for p in json.loads(result.err)["problems"]}
    assert {p["where"] for p in json.loads(result.err)["problems"]} == {"d.toml"}
    expected = {
        "a b.ID": "letters, digits", "one.colour": "is unknown", "one.Enabled": "true or false",
        "one.targets": "ocsync delivery bind", "one.Http.Endpoint": "only a secret can be a reference",
        "one.Http.Secret": 'write { env = "NAME" }', "one.Http.CustomAuthHeaderValue": "needs CustomAuthHeaderName",
        "one.Kafka.Topic": "is not a text", "one.Kafka.BootstrapServers": "is missing", "one.Kafka.SaslUsername": "is missing",
        "one.Kafka.SaslPassword": "is a secret", "one.Fax": "use Http, Kafka",
        "one.SearchIngestion.Content.Http.CustomAuthHeaderValue": "is a secret", "ONE.ID": "twice", "deliveries[4].ID": "is missing",
    }  # fmt: skip
    assert expected.keys() <= told.keys(), expected.keys() - told.keys()
    for field, why in expected.items():
        assert why in told[field], field
    assert sent(shop) == []


def test_what_a_new_one_lacks_is_told_before_anything_is_sent(apply: Apply, shop: Shop) -> None:
    put(shop, {"Kafka": KAFKA})
    before = sent(shop)
    file = [
        one({"Kafka": {**KAFKA, "Topic": "t2", "SaslPassword": ENV}}),
        {"ID": "new", "DeliveryTargets": {"Http": {"Endpoint": "https://x", "CustomAuthHeaderName": "X"}}},
        {"ID": "bare", "Name": "b"},
        one({"MessageSender": {"Endpoint": "https://x"}}) | {"ID": "Emulator-Log"},
    ]  # fmt: skip
    twice = apply(file, "--yes")
    assert (twice.code, "appears twice in the file" in twice.err) == (65, True)
    result = apply(file[:-1], "--yes")
    assert result.code == 65
    for told in (
        "new.Name ",
        "new.Http.Secret",
        "new.Http.CustomAuthHeaderValue",
        "bare.DeliveryTargets",
    ):
        assert told in result.err
    assert "4 problems; nothing was sent" in result.err
    assert sent(shop) == before


def test_one_integration_at_most(apply: Apply, shop: Shop) -> None:
    put(shop, {"SearchIngestion": SEARCH})
    result = apply(one({"SendEvent": {"SiteID": "s", "ServiceEndpoint": "https://x"}}), "--yes")
    assert (result.code, "SearchIngestion and SendEvent" in result.err) == (65, True), result


def test_secrets_that_cannot_be_had_send_nothing(
    apply: Apply, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(shop, {"Kafka": KAFKA})
    before = sent(shop)
    command = {"command": "touch ran"}
    file = [one({"Http": {"Endpoint": "https://x", "Secret": command}})]
    for words in (("--yes",), ("--yes", "--json")):
        untrusted = apply(file, *words)
        assert (untrusted.code, "runs `touch ran`" in untrusted.err) == (78, True)
    assert not Path("ran").exists(), "a file from elsewhere must not run anything"
    assert apply(file, "--dry-run").code == 0
    assert not Path("ran").exists()
    monkeypatch.setenv("LONG", "s3cret" * 10)
    file = [
        one({"Http": {"Endpoint": "https://x", "Secret": command}}),
        {"ID": "n1", "Name": "n", "DeliveryTargets": {"Http": {"Endpoint": "https://x", "Secret": {"env": "LONG"}}}},
        {"ID": "n2", "Name": "n", "DeliveryTargets": {"Http": {"Endpoint": "https://x", "Secret": {"env": "NOT_SET"}}}},
    ]  # fmt: skip
    result = apply(file, "--yes", "--run-commands")
    assert (result.code, Path("ran").exists()) == (65, True)
    for told in ("printed nothing", "has more than 50 characters", "NOT_SET is not set"):
        assert told in result.err
    assert sent(shop) == before


def test_the_listener_of_ours_is_not_written_over(apply: Apply, shop: Shop, ocsync: Run) -> None:
    put(shop, {"Kafka": KAFKA})
    words = ("--endpoint", "http://127.0.0.1:1/", "--secret-env", "PASSWORD")
    assert ocsync("delivery", "attach", "inventory", *words).code == 0
    taken = apply(one({"Http": {"Endpoint": "https://x", "Secret": ENV}}), "--yes")
    assert (taken.code, "ocsync delivery detach" in taken.err) == (64, True)
    beside = apply(one({"Kafka": {**KAFKA, "Topic": "t2", "SaslPassword": ENV}}), "--yes")
    assert beside.code == 0, beside
    assert stored(shop).keys() == {"Kafka", "Http"}


def test_what_somebody_changes_meanwhile_is_not_written_over(
    apply: Apply, shop: Shop, ocsync: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ocsync.cli.context import Context

    put(shop, {"Http": HTTP})

    def ask(_: Context, question: str) -> bool:
        put(shop, {"Http": HTTP}, Name="changed while it was asked")
        return True

    monkeypatch.setattr(Context, "ask", ask)
    result = apply(one({"Http": {**OTHER, "Secret": ENV}}))
    assert (result.code, "someone else has changed" in result.err) == (6, True)
    assert stored(shop) == {"Http": HTTP}


NONE: list[tuple[str, str]] = [
    ("[[deliveries]\n", "d.toml:1:13"), ('{"deliveries": [}', "d.toml"), ("deliveries = 5\n", "no list of deliveries"),
    ("x = 1\ndeliveries = []\n", "has unknown keys: x"), ("deliveries = [5]\n", "deliveries[1]"), ("", "no list of deliveries"),
]  # fmt: skip


def test_a_file_that_is_none(apply: Apply) -> None:
    for text, said in NONE:
        result = apply(text)
        assert (result.code, said in result.err) == (65, True), (text, result)


def test_other_places_of_a_file(ocsync: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "s3cret")
    assert ocsync("delivery", "apply", "nothing.toml").code == 66
    put(shop, {"Http": HTTP})
    for stdin in (
        FILE.encode(),
        json.dumps({"deliveries": [one({"Http": HTTP | {"Secret": ENV}})]}).encode(),
    ):
        assert ocsync("delivery", "apply", "-", "--dry-run", stdin=stdin).code == 0
    twice = ocsync("delivery", "apply", "-", stdin=b'{"deliveries": [], "deliveries": []}')
    assert (twice.code, 'repeats the key "deliveries"' in twice.err) == (65, True)
    text = ocsync("delivery", "apply", "-", stdin=b'{"deliveries": [}')
    assert "standard input:1:17" in text.err


def test_an_interrupted_apply_is_finished_by_the_same_command(apply: Apply, shop: Shop) -> None:
    put(shop, {"Kafka": KAFKA})
    shop.faults({"method": "PATCH", "path": "emulator-log", "status": 400, "times": 1})
    assert apply(FILE, "--yes", "--run-commands").code == 1
    assert "stock" in shop.emulator.market.delivery_configs, "the first had been sent"
    again = apply(FILE, "--yes", "--run-commands")
    assert (again.code, "stock  matches the file" in again.out) == (0, True)
    assert stored(shop).keys() == {"Kafka", "Http"}
