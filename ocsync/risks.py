"""Risks of a plan that the operator should know before resuming. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from math import prod
from typing import Any, NamedTuple

import msgspec

from ocsync.field_paths import join_path, json_type, nest, split_path, type_changes, xp_text
from ocsync.models import Change, Fields, Op, Ref, Step
from ocsync.plurals import count
from ocsync.schema import KINDS, VARIANTS_MAX, XP_KEYS_ADVISED, XP_LIMIT, ids_of, kind_of

ZERO_STOCK, OWN_USER, XP_TYPE = "zero-stock", "own-user", "xp-type"
GUARDED = (ZERO_STOCK, OWN_USER, XP_TYPE)
"""Risks that a resume refuses unless they are allowed by name."""
_XP_MEMBERS = "xp-members"
_XP_MEMBERS = "xp-members"
XP_SIZE, XP_KEYS, INDEX_REBUILD = "xp-size", "xp-keys", "index-rebuild"
VARIANT_LIMIT = "variant-limit"
LIMITS = (XP_SIZE, XP_KEYS, INDEX_REBUILD, VARIANT_LIMIT)
"""Risks that come from limits of the platform."""
_VOLATILE = {
    name: frozenset(path for path, field in kind.fields.items() if field.volatile)
    for name, kind in KINDS.items()
}
"""The fields of each kind that the platform changes by itself."""


MAX_REFS = 100
"""Most refs that a risk names; it counts them all."""


class Risk(NamedTuple):
    """Reason to think twice before resuming: *code* for programs, and the first refs concerned.

    *total* is the number of them all.
    """

    code: str
    text: str
    refs: tuple[Ref, ...] = ()
    advice: str = ""
    total: int = 0


class _Refs:
    """Refs of the steps with one risk: how many there are, and the first ones."""

    def __init__(self) -> None:
        self.count = 0
        self._first: list[Ref] = []

    def add(self, ref: Ref) -> None:
        self.count += 1
        if self.count <= MAX_REFS:
            self._first.append(ref)

    def risk(self, code: str, text: str, advice: str = "") -> Risk:
        return Risk(code, text, tuple(self._first), advice, self.count)


def find_risks(steps: Iterable[Step]) -> list[Risk]:
    """Return the risks of *steps*, a pause that is not worth it among them.

    Quantities without an expected value are one: orders go on decrementing stock while sync is
    paused, so that a blind value would oversell. When more than half of the plan's quantities
    become zero, the file is often a wrong one. Whether the limit of xp counts characters or bytes
    is documented both ways (guide/ordercloud.md 12.8).
    """
    found = _Found()
    touched = number = 0
    ref = ""
    for number, step in enumerate(steps, 1):  # noqa: B007
        change = step.change
        ref, fields = change.ref, change.fields
        kind_name = ref[: ref.find("/")]
        facts = _facts_of(kind_name, *fields)
        if change.contradicted:
            found.contradicted.add(ref)
        if facts.has_quantities:
            quantities = [*map(fields.__getitem__, facts.volatile)]
            if change.adjust or change.replace:
                quantities += _unnamed_quantities(change, _VOLATILE[kind_name])
            touched += len(quantities)
            for value in quantities:
                if value is None or (value is not ... and value <= 0):
                    found.zero.add(ref)
                    break
            if facts.volatile and _is_blind(change, facts.volatile):
                found.blind.add(ref)
        if facts.has_xp:
            data = _encode(fields)
            if data.count(b"{") > 1 and _sets_objects(change):
                found.objects.add(ref)
            if len(data) > _SURELY_SHORT and len(xp_text(fields).encode()) > XP_LIMIT:
                found.large.add(ref)
        if facts.is_of_catalog:
            found.add_of_catalog(step, kind_name, facts)
    risks = found.risks(touched)
    if number == 1:
        text, advice = (
            "only one change: pausing gains nothing",
            "to send it immediately: ocsync resume --no-pause",
        )
        risks.append(Risk("single-change", text, (ref,), advice, 1))
    return risks


def settle_xp_risk(risks: Iterable[Risk], *, merges: bool | None) -> list[Risk]:
    """Return *risks* where it is known whether a PATCH of an xp object *merges* its keys."""
    if merges is None:
        return list(risks)
    return [
        risk._replace(text=risk.text.replace("may remain", "remain"))
        if risk.code == _XP_MEMBERS
        else risk
        for risk in risks
        if merges or risk.code != _XP_MEMBERS
    ]


class _Found:
    """Refs of the steps with each risk, and what is found by comparing steps.

    *xp_keys* are the keys of xp of products, *types* the first type of each xp path and the ref
    that has it, *differing* the refs with another type, *of_variants* the steps that decide which
    variants there are.
    """

    def __init__(self) -> None:
        self.contradicted, self.zero, self.blind, self.objects = (_Refs() for _ in range(4))
        self.large, self.keyed, self.rebuilt, self.urgent = (_Refs() for _ in range(4))
        self.xp_keys: set[str] = set()
        self.types: dict[str, tuple[str, Ref]] = {}
        self.differing: dict[Ref, str] = {}
        self.of_variants: list[Step] = []

    def add_of_catalog(self, step: Step, kind_name: str, facts: _PathFacts) -> None:
        change, ref, fields = step.change, step.ref, step.change.fields
        if facts.is_indexed:
            self.add_types(step)
        if kind_name == "product":
            self.add_keys(ref, fields)
        if facts.needs_rebuild and (change.op is not Op.PUT or change.replace):
            self.rebuilt.add(ref)
        if kind_name in _OF_VARIANTS:
            self.of_variants.append(step)
        if facts.is_timed and _is_urgent(fields):
            self.urgent.add(ref)

    def add_keys(self, ref: Ref, fields: Fields) -> None:
        before = len(self.xp_keys)
        self.xp_keys.update(split_path(path)[1] for path in fields if path.startswith("xp."))
        if len(self.xp_keys) > max(before, XP_KEYS_ADVISED):
            self.keyed.add(ref)

    def add_types(self, step: Step) -> None:
        for path, kind in _xp_types(nest(step.change.fields)["xp"]):
            other, ref = self.types.setdefault(path, (kind, step.ref))
            if other != kind:
                text = f"{path} is {other} on {ref} and {kind} on {step.ref}"
                self.differing.setdefault(step.ref, text)

    def risks(self, touched: int) -> list[Risk]:
        """Return the risks that apply, where *touched* quantities are written."""
        expect = count(self.contradicted.count, "ref expects", "refs expect")
        they = "it" if self.contradicted.count == 1 else "they"
        blind = count(self.blind.count, "quantity has", "quantities have")
        objects = count(self.objects.count, "xp value is an object", "xp values are objects")
        large = count(self.large.count, "ref has", "refs have")
        rebuilt = count(self.rebuilt.count, "change shows", "changes show")
        urgent = count(self.urgent.count, "change is", "changes are")
        is_wrong_file = touched > 1 and self.zero.count * 2 > touched
        zero = self.zero if is_wrong_file else _Refs()
        found = [
            self.contradicted.risk(
                "broken-expectation",
                f"{expect} a value that earlier staged edits change; {they} will conflict",
                "ocsync plan --explain REF",
            ),
            zero.risk(
                ZERO_STOCK,
                f"{zero.count:,} of {count(touched, 'quantity')} would become zero",
                f"resume needs --allow-risky {ZERO_STOCK}",
            ),
            self.blind.risk(
                "blind-quantity",
                f"{blind} no expected value; later sales would be overwritten",
                "stage with --expect-current, or use stage adjust",
            ),
            self.objects.risk(_XP_MEMBERS, f"{objects}; keys you left out may remain"),
            self.large.risk(
                XP_SIZE,
                f"{large} more than {XP_LIMIT:,} bytes of xp, which OrderCloud may refuse",
            ),
            self.keyed.risk(
                XP_KEYS,
                f"products get {len(self.xp_keys):,} different xp keys; OrderCloud advises about "
                f"{XP_KEYS_ADVISED}",
            ),
            _type_risk("staged xp values differ in type", self.differing),
            self.rebuilt.risk(
                INDEX_REBUILD,
                f"{rebuilt} in product lists only after an index rebuild in the Portal",
                "in production and staging it can be rebuilt 3 times an hour, 5 times a week",
            ),
            _variant_limit(self.of_variants),
            _reset_variants(self.of_variants),
            self.urgent.risk(
                "time-critical",
                f"{urgent} time-critical (deactivation, sale or date) and would be delayed",
                "resume soon, or send with --no-pause",
            ),
        ]
        return [risk for risk in found if risk and risk.total]


_encode = msgspec.json.Encoder().encode
_SURELY_SHORT = XP_LIMIT // 6
"""Bytes of the JSON of flat fields whose xp is within the limit.

A level of nesting is a dot in a path, and at most six bytes in xp.
"""


class _PathFacts(NamedTuple):
    """Facts that the paths of a change's fields decide, whatever their values are.

    *volatile* are those that the platform changes by itself; *has_quantities* says that the kind
    has such fields, *is_indexed* that OrderCloud indexes its xp by type, *is_of_catalog* that one
    of the risks of products and their like may apply.
    """

    volatile: tuple[str, ...]
    has_quantities: bool
    has_xp: bool
    is_indexed: bool
    needs_rebuild: bool
    is_timed: bool
    is_of_catalog: bool


@lru_cache(1024)
def _facts_of(kind_name: str, *paths: str) -> _PathFacts:
    """Return the facts of fields at *paths*: nearly all changes of a plan have the same ones."""
    has_xp = any(path.startswith("xp.") for path in paths)
    is_indexed = has_xp and kind_name in _IN_XP_INDEX
    needs_rebuild = not _NEEDS_REBUILD[kind_name].isdisjoint(paths)
    is_timed = not _TIMED_FIELDS.isdisjoint(paths)
    is_compared = kind_name == "product" or kind_name in _OF_VARIANTS
    return _PathFacts(
        tuple(path for path in paths if path in _VOLATILE[kind_name]),
        bool(_VOLATILE[kind_name]),
        has_xp,
        is_indexed,
        needs_rebuild,
        is_timed,
        is_compared or is_indexed or needs_rebuild or is_timed,
    )


def _sets_objects(change: Change) -> bool:
    """Return whether *change* sets values of xp that are objects."""
    return change.op is Op.SET and any(
        path.startswith("xp.") and isinstance(value, dict) for path, value in change.fields.items()
    )


def _is_blind(change: Change, written: Sequence[str]) -> bool:
    """Return whether *change* writes quantities, those at *written*, without expecting them."""
    replaces = change.op is Op.SET or change.replace
    return replaces and not (change.expect and change.expect.keys() >= {*written})


def _unnamed_quantities(change: Change, volatile: frozenset[str]) -> list[Any]:
    """Return the quantities, at *volatile* paths, that *change* writes although no field names
    them; an ellipsis for one that it adjusts.
    """
    fields, adjust = change.fields, change.adjust
    given: list[Any] = [... for path in adjust if path in volatile and path not in fields]
    if change.op is Op.PUT and change.replace:  # what such a put leaves out is emptied
        given += [None for p in volatile - {*fields, *adjust} if "." not in p]
    return given


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
    text = "this deactivates the user you are signed in as"
    advice = f"resume needs --allow-risky {OWN_USER}"
    return Risk(OWN_USER, text, refs[:1], advice, 1) if refs else None


_NEEDS_REBUILD = {
    name: frozenset(path for path, field in kind.fields.items() if field.needs_rebuild)
    for name, kind in KINDS.items()
}


_OF_VARIANTS = ("spec-option", "spec-product-assignment", "variants")
"""The kinds whose steps decide which variants there are."""


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
    variants = count(numbers[refs[0]], "variant") if refs else ""
    text = f"{refs[0]} would get {variants}; a product can have {VARIANTS_MAX:,}" if refs else ""
    return Risk(VARIANT_LIMIT, text, refs[:MAX_REFS], total=len(refs)) if refs else None


def _reset_variants(steps: Sequence[Step]) -> Risk | None:
    refs = tuple(
        step.ref
        for step in steps
        if step.change.op is Op.GENERATE and any(step.change.fields.values())
    )
    text = f"all variants of {count(len(refs), 'product')} will be reset; edits of them are lost"
    advice = "rollback cannot restore them"
    return Risk("variants-reset", text, refs[:MAX_REFS], advice, len(refs)) if refs else None


_IN_XP_INDEX = frozenset(name for name, kind in KINDS.items() if kind.indexed_xp)
"""The kinds whose xp is indexed: a value that does not fit the index takes one out of the lists."""


def writes_indexed_xp(step: Step) -> bool:
    """Return whether *step* writes xp that OrderCloud indexes by type
    (guide/ordercloud.md 12.10).
    """
    return _facts_of(kind_of(step.ref).name, *step.change.fields).is_indexed


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
    return _type_risk("xp values change their type", differing)


def _type_risk(what: str, differing: Mapping[Ref, str]) -> Risk | None:
    if not differing:
        return None
    first, *more = differing.values()
    others = f", and {len(more):,} more" if more else ""
    advice = f"lists may then omit such products; resume needs --allow-risky {XP_TYPE}"
    refs = tuple(islice(differing, MAX_REFS))
    return Risk(XP_TYPE, f"{what}: {first}{others}", refs, advice, len(differing))


_URGENT_VALUES = {"Active": (False,), "IsOnSale": (True,)}
_DATE_FIELDS = ("SaleStart", "SaleEnd")
_TIMED_FIELDS = {*_URGENT_VALUES, *_DATE_FIELDS}


def _is_urgent(fields: Fields) -> bool:
    return any(fields.get(name, ...) in values for name, values in _URGENT_VALUES.items()) or any(
        name in fields for name in _DATE_FIELDS
    )
