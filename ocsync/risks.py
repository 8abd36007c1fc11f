"""Risks of a plan that the operator should know before resuming. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

import msgspec

from ocsync.field_paths import join_path, json_type, nest, split_path, type_changes, xp_text
from ocsync.models import Op, Ref, Step
from ocsync.schema import KINDS, VARIANTS_MAX, XP_KEYS_ADVISED, XP_LIMIT, ids_of, kind_of

ZERO_STOCK, OWN_USER, XP_TYPE = "zero-stock", "own-user", "xp-type"
GUARDED = (ZERO_STOCK, OWN_USER, XP_TYPE)
"""Risks that a resume refuses unless they are allowed by name."""
XP_SIZE, XP_KEYS, INDEX_REBUILD = "xp-size", "xp-keys", "index-rebuild"
VARIANT_LIMIT = "variant-limit"
LIMITS = (XP_SIZE, XP_KEYS, INDEX_REBUILD, VARIANT_LIMIT)
"""Risks that come from limits of the platform."""
_VOLATILE = {
    name: frozenset(path for path, field in kind.fields.items() if field.volatile)
    for name, kind in KINDS.items()
}
"""The fields of each kind that the platform changes by itself."""


class Risk(NamedTuple):
    """Reason to think twice before resuming: *code* for programs, and the refs concerned."""

    code: str
    text: str
    refs: tuple[Ref, ...] = ()
    advice: str = ""


def find_risks(steps: Sequence[Step]) -> list[Risk]:
    """Return the risks of *steps*, a pause that is not worth it among them."""
    found = [
        _contradicted(steps),
        _zero_stock(steps),
        _blind_quantities(steps),
        _xp_objects(steps),
        _xp_size(steps),
        _xp_keys(steps),
        _staged_xp_types(steps),
        _index_rebuild(steps),
        _variant_limit(steps),
        _reset_variants(steps),
        _time_critical(steps),
    ]
    if len(steps) == 1:
        found.append(
            Risk(
                "single-change",
                "a single change: pausing is not worth it",
                (steps[0].ref,),
                "ocsync resume --no-pause sends it at once",
            )
        )
    return [risk for risk in found if risk]


def _contradicted(steps: Sequence[Step]) -> Risk | None:
    refs = tuple(step.ref for step in steps if step.change.contradicted)
    text = f"refs with an expectation that staged entries contradict: {len(refs):,}"
    return Risk("broken-expectation", text, refs, "ocsync plan --explain REF") if refs else None


def _blind_quantities(steps: Sequence[Step]) -> Risk | None:
    """Return the risk of quantities without an expected value.

    Orders go on decrementing stock while sync is paused; a blind value would oversell.
    """
    refs = []
    for step in steps:
        change, volatile = step.change, _VOLATILE[kind_of(step.ref).name]
        if volatile.isdisjoint(change.fields) or not (change.op is Op.SET or change.replace):
            continue
        if any(p in volatile and p not in change.expect for p in change.fields):
            refs.append(step.ref)
    text = f"quantities without an expectation: {len(refs):,}; what was sold is overwritten"
    advice = "stage with --expect-current, or stage adjust"
    return Risk("blind-quantity", text, tuple(refs), advice) if refs else None


def _zero_stock(steps: Sequence[Step]) -> Risk | None:
    """Return the risk that more than half of the plan's quantities become zero.

    That is often a wrong file.
    """
    touched, zero = 0, []
    for step in steps:
        change, moving = step.change, _VOLATILE[kind_of(step.ref).name]
        if not moving:
            continue
        given = {
            path: change.fields.get(path, ...)
            for path in moving
            if path in change.fields or path in change.adjust
        }
        if change.op is Op.PUT and change.replace:  # what such a put leaves out is emptied
            given |= {path: None for path in moving - given.keys() if "." not in path}
        touched += len(given)
        if any(value is None or (value is not ... and value <= 0) for value in given.values()):
            zero.append(step.ref)
    if touched < 2 or len(zero) * 2 <= touched:
        return None
    text = f"quantities set to zero: {len(zero):,} of the {touched:,} that are touched"
    return Risk(ZERO_STOCK, text, tuple(zero), f"resume needs --allow-risky {ZERO_STOCK}")


def own_user_risk(steps: Iterable[Step], kind: str, name: str) -> Risk | None:
    """Return the risk that *steps* deactivate the signed-in user, *name* of *kind*."""
    user = name.casefold()
    refs = tuple(
        step.ref
        for step in steps
        if kind_of(step.ref).name == kind
        and step.ref.rpartition("/")[2].casefold() == user
        and step.change.fields.get("Active") is False
    )
    text = "this deactivates the user that you are signed in as"
    advice = f"resume needs --allow-risky {OWN_USER}"
    return Risk(OWN_USER, text, refs[:1], advice) if refs else None


def _xp_objects(steps: Sequence[Step]) -> Risk | None:
    refs = tuple(
        step.ref
        for step in steps
        if step.change.op is Op.SET
        and any(p.startswith("xp.") and isinstance(v, dict) for p, v in step.change.fields.items())
    )
    text = f"xp values that are objects: {len(refs):,}; members left out may stay there"
    return Risk("xp-members", text, refs) if refs else None


def _xp_size(steps: Sequence[Step]) -> Risk | None:
    """Return the risk of xp within the limit if it counts characters, and not if it counts bytes.

    OrderCloud documents both (guide/ordercloud.md 12.8).
    """
    refs = tuple(
        step.ref
        for step in steps
        if len(msgspec.json.encode(step.change.fields)) * 2 > XP_LIMIT  # may be, but that is quick
        and len(xp_text(step.change.fields).encode()) > XP_LIMIT
    )
    has = "1 ref has" if len(refs) == 1 else f"{len(refs):,} refs have"
    text = f"{has} more than {XP_LIMIT:,} bytes of xp, which OrderCloud may refuse"
    return Risk(XP_SIZE, text, refs) if refs else None


def _xp_keys(steps: Sequence[Step]) -> Risk | None:
    """Return the risk of more keys of xp on products than OrderCloud advises."""
    keys: set[str] = set()
    refs = []
    for step in steps:
        if kind_of(step.ref).name == "product":
            before = len(keys)
            keys.update(split_path(p)[1] for p in step.change.fields if p.startswith("xp."))
            refs += [step.ref] if len(keys) > max(before, XP_KEYS_ADVISED) else []
    text = f"products get {len(keys):,} different xp keys; OrderCloud advises about"
    return Risk(XP_KEYS, f"{text} {XP_KEYS_ADVISED}", tuple(refs)) if refs else None


_NEEDS_REBUILD = {
    name: frozenset(path for path, field in kind.fields.items() if field.needs_rebuild)
    for name, kind in KINDS.items()
}


def _index_rebuild(steps: Sequence[Step]) -> Risk | None:
    """Return the risk of changes that the search index shows only after a rebuild by hand."""
    refs = tuple(
        step.ref
        for step in steps
        if not _NEEDS_REBUILD[kind_of(step.ref).name].isdisjoint(step.change.fields)
        and (step.change.op is not Op.PUT or step.change.replace)
    )
    changes = "1 change shows" if len(refs) == 1 else f"{len(refs):,} changes show"
    text = f"{changes} in product lists only after an index rebuild in the Portal"
    advice = "in production and staging it can be rebuilt 3 times an hour, 5 times a week"
    return Risk(INDEX_REBUILD, text, refs, advice) if refs else None


def _variant_limit(steps: Sequence[Step]) -> Risk | None:
    """Return the risk of more variants than a product can have, as far as staged specs tell."""
    options: Counter[str] = Counter()
    specs: dict[str, list[str]] = defaultdict(list)
    generated = [step.ref for step in steps if step.change.op is Op.GENERATE]
    for step in steps if generated else ():
        name, ids = kind_of(step.ref).name, ids_of(step.ref)
        if name == "spec-option" and step.change.op is Op.PUT:
            options[ids["SpecID"].casefold()] += 1
        elif name == "spec-product-assignment":
            specs[ids["ProductID"].casefold()].append(ids["SpecID"].casefold())
    numbers = {
        ref: prod(max(options[spec], 1) for spec in specs[ids_of(ref)["ProductID"].casefold()])
        for ref in generated
    }
    refs = tuple(ref for ref, number in numbers.items() if number > VARIANTS_MAX)
    text = f"{refs[0]} comes to {numbers[refs[0]]:,} variants; {VARIANTS_MAX:,}" if refs else ""
    return Risk(VARIANT_LIMIT, f"{text} are the most of a product", refs) if refs else None


def _reset_variants(steps: Sequence[Step]) -> Risk | None:
    refs = tuple(
        step.ref
        for step in steps
        if step.change.op is Op.GENERATE and any(step.change.fields.values())
    )
    products = "1 product" if len(refs) == 1 else f"{len(refs):,} products"
    text = f"the variants of {products} are reset; what others set on them is lost"
    return Risk("variants-reset", text, refs, "a rollback does not bring it back") if refs else None


_IN_XP_INDEX = frozenset(name for name, kind in KINDS.items() if kind.indexed_xp)
"""The kinds whose xp is indexed: a value that does not fit the index takes one out of the lists."""


def writes_indexed_xp(step: Step) -> bool:
    """Return whether *step* writes xp that OrderCloud indexes by type
    (guide/ordercloud.md 12.10).
    """
    indexed = kind_of(step.ref).name in _IN_XP_INDEX
    return indexed and any(path.startswith("xp.") for path in step.change.fields)


def _staged_xp_types(steps: Sequence[Step]) -> Risk | None:
    """Return the risk of staged values of one xp path that differ in type."""
    first: dict[str, tuple[str, Ref]] = {}
    differing: dict[Ref, str] = {}
    for step in filter(writes_indexed_xp, steps):
        for path, kind in _xp_types(nest(step.change.fields)["xp"]):
            other, ref = first.setdefault(path, (kind, step.ref))
            if other != kind:
                text = f"{path} is {other} on {ref} and {kind} on {step.ref}"
                differing.setdefault(step.ref, text)
    return _type_risk("staged xp values differ in type", differing) if differing else None


def _xp_types(value: Any, path: str = "xp") -> Iterator[tuple[str, str]]:
    """Yield the paths in *value*, each with its type, without objects and what may be of any."""
    for name, inner in value.items():
        below = f"{path}.{join_path([name])}"
        if isinstance(inner, dict):
            yield from _xp_types(inner, below)
        elif kind := json_type(inner):
            yield below, kind


def xp_type_risk(
    steps: Iterable[Step], values: Mapping[int, tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> Risk | None:
    """Return the risk of *steps* that change the type of an xp value.

    *values* has those before and after each step, by its number.
    """
    differing: dict[Ref, str] = {}
    for step in steps:
        before, after = values.get(step.number, ({}, {}))
        for path in after.keys() & before.keys() if writes_indexed_xp(step) else ():
            if path.startswith("xp."):
                for inner, old, new in type_changes(path, before[path], after[path]):
                    differing.setdefault(step.ref, f"{inner} of {step.ref} from {old} to {new}")
    return _type_risk("xp values change their type", differing) if differing else None


def _type_risk(what: str, differing: Mapping[Ref, str]) -> Risk:
    first, *more = differing.values()
    others = f", and {len(more):,} more" if more else ""
    advice = f"lists may then leave such products out; resume needs --allow-risky {XP_TYPE}"
    return Risk(XP_TYPE, f"{what}: {first}{others}", tuple(differing), advice)


_URGENT_VALUES = {"Active": (False,), "IsOnSale": (True,)}
_DATE_FIELDS = ("SaleStart", "SaleEnd")
_TIMED_FIELDS = {*_URGENT_VALUES, *_DATE_FIELDS}


def _time_critical(steps: Sequence[Step]) -> Risk | None:
    refs = tuple(
        step.ref
        for step in steps
        if not _TIMED_FIELDS.isdisjoint(step.change.fields)
        if any(
            step.change.fields.get(name, ...) in values for name, values in _URGENT_VALUES.items()
        )
        or any(name in step.change.fields for name in _DATE_FIELDS)
    )
    text = f"time-critical changes (switched off, or dated): {len(refs):,}; they arrive late"
    advice = "resume soon, or send them with --no-pause"
    return Risk("time-critical", text, refs, advice) if refs else None
