"""Names that do not exist: what is suggested in their place, at every command that takes one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocsync.models import Op
from ocsync.schema import KINDS, TARGETS, make_ref, stageable_fields
from ocsync.suggestions import closest, listed, suggestion
from tests.conftest import Run

OLD = Path(__file__).parent / "old_workspace/workspace"


@pytest.fixture
def old(run: Run) -> Run:
    shutil.copytree(OLD, ".ocsync")
    return run


@pytest.mark.parametrize(("command", "suggested"), [
    ("pause invetory", "did you mean inventory?"),
    ("resume Catalgos", "did you mean catalogs?"),
    ("plan catalogwide", "did you mean catalog-wide?"),
    ("stage set invntory/P/R X=1", "did you mean inventory?"),
    ("stage set products/P X=1", "did you mean product?"),
    ("stage set product/P Nam=1", "did you mean Name?"),
    ("stage set product/P name=1", "did you mean Name?"),
    ("stage adjust inventory/P/R quantity+=1", "did you mean QuantityAvailable?"),
    ("stage set catalog/C Active=true --expect Nmae=x", "did you mean Name?"),
    ("stage template produt", "did you mean product?"),
    ("stage template product --expect Actve", "did you mean Active?"),
    ("stage import edits.csv --kind categroy", "did you mean category?"),
    ("stage import edits.csv --format cvs", "did you mean csv?"),
    ("stage export - --format josnl", "did you mean jsonl?"),
    ("plan --profile acm", "did you mean acme?"),
    ("profile use sandbx", "did you mean sandbox?"),
    ("profile add x --environment useast-sanbox --client-id c --secret-env S", "did you mean useast-sandbox"),
    ("verify 0304-0090", "did you mean 0304-0900"),
    ("history 0304-900", "did you mean 0304-0900"),
    ("history --state fialed", "did you mean failed?"),
    ("history --type resmue", "did you mean resume?"),
    ("history --report junti -", "did you mean junit?"),
    ("resume --on-conflict ski", "did you mean skip?"),
    ("resume --allow-risky zero", "did you mean zero-stock?"),
    ("doctor catalog-asignment --offline", "did you mean catalog-assignment"),
    ("help exit-code", "next: ocsync help exit-codes"),
    ("help stage imprt", "next: ocsync help stage import"),
    ("completion zhs", "did you mean zsh?"),
    ("probe nested-xpp", "did you mean nested-xp?"),
    ("schema stauts", "did you mean status?"),
])  # fmt: skip
def test_the_closest_names_are_suggested(old: Run, command: str, suggested: str) -> None:
    Path("edits.csv").write_text("CatalogID,CategoryID,Name\nC,D,x\n", encoding="utf-8")
    refused = old(*command.split())
    assert refused.code in (64, 65, 66, 78), refused
    assert suggested in refused.err


@pytest.mark.parametrize(("command", "names"), [
    ("pause zzzz", "targets: products, catalogs, categories"),
    ("stage set zzzz/P X=1", "kinds: address, supplier"),
    ("plan --profile zzzz", "profiles in this workspace: acme, lab, sandbox, vault"),
    ("verify zzzz", "next: ocsync history"),
    ("resume --on-conflict zzzz", "one of fail, skip, overwrite"),
    ("doctor zzzz --offline", "kinds and targets: products, catalogs"),
])  # fmt: skip
def test_the_names_are_listed_where_none_is_close(old: Run, command: str, names: str) -> None:
    refused = old(*command.split())
    assert names in " ".join(refused.err.split())
    assert "did you mean" not in refused.err


def test_a_list_of_fields_is_short_and_can_be_staged(run: Run) -> None:
    for kind in KINDS.values():
        if not {Op.SET, Op.ASSIGN} & {*kind.ops}:
            continue
        ref = make_ref(kind, {name: name for name in (*kind.needed_ids, *kind.parties[0])})
        [problem] = [
            problem
            for problem in json.loads(run("stage", "assign" if kind.assignment else "set", ref, "Zzzz=1", "--json").err)["problems"]
            if problem["field"] == "Zzzz"
        ]  # fmt: skip
        reason = problem["why"]
        names = stageable_fields(kind)
        hidden = [name for name in kind.fields if name not in names]
        assert not [name for name in hidden if f" {name}," in reason]
        assert all(name in reason for name in names[:12])
        assert (f"and {len(names) - 12} more (ocsync stage template {kind.name})" in reason) == (
            len(names) > 12
        )


@given(st.sampled_from([*KINDS, *TARGETS]), st.integers(0, 30))
def test_one_letter_too_few_is_found(name: str, place: int) -> None:
    """Of names with more than four letters, the right one is among the three."""
    place %= len(name)
    assert name in closest(name[:place] + name[place + 1 :], [*KINDS, *TARGETS]) or len(name) < 5


@given(st.text(max_size=20), st.lists(st.text(max_size=12), max_size=20))
def test_suggestions_are_choices(word: str, choices: list[str]) -> None:
    close = closest(word, choices)
    assert len(close) <= 3
    assert {*close} <= {*choices}
    assert len({name.casefold() for name in close}) == len(close)
    assert (suggestion(word, choices, "none") == "none") == (not any(close) or close[-1] == "")


def test_a_long_list_says_how_many_more() -> None:
    assert listed([]) == "none"
    assert listed("abc") == "a, b, c"
    assert listed(map(str, range(14)), "ocsync x").endswith("10, 11 and 2 more (ocsync x)")
