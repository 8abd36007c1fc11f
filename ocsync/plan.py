"""Plan of changes: ordered steps in waves. Pure and stable: equal changes give an equal plan.

A step waits for the staged refs that its own names (`references`, whose failure blocks it), for
those that only come first (`after`), and for what a put creates (`creates`). Its wave is its
longest path through these; inside a wave steps run concurrently.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from ocsync.errors import PlanCycle
from ocsync.models import Change, Op, Ref, Step
from ocsync.schema import KINDS, ids_of, kind_of, ref_key, references_of, url_of

METHODS = {Op.SET: "PATCH", Op.PUT: "PUT", Op.ASSIGN: "POST", Op.DELETE: "DELETE"}
_RANK = {name: place for place, name in enumerate(KINDS)}


class Plan(NamedTuple):
    """Steps in the order of their numbers: by wave, then kind, then first staged."""

    steps: tuple[Step, ...]
    waves: int


class _Graph(NamedTuple):
    """Order of changes, by index; *needs* are the predecessors whose failure blocks."""

    needs: list[set[int]]
    predecessors: list[set[int]]


def build(changes: Iterable[Change]) -> Plan:
    """Return the plan of *changes*. Raises PlanCycle, naming its members, if they form one."""
    nodes = list(changes)
    graph = _build_graph(nodes)
    wave = assign_waves([node.ref for node in nodes], graph.predecessors)
    order = sorted(range(len(nodes)), key=lambda i: (wave[i], _RANK[kind_of(nodes[i].ref).name], i))
    number = {node: position for position, node in enumerate(order, 1)}
    steps = tuple(
        Step(
            number=number[i],
            wave=wave[i],
            change=nodes[i],
            method=METHODS[nodes[i].op],
            path=url_of(nodes[i].ref),
            needs=tuple(sorted(number[n] for n in graph.needs[i])),
        )
        for i in order
    )
    return Plan(steps, max(wave, default=0))


def refs_feeding(changes: Sequence[Change], targets: Collection[str]) -> set[Ref]:
    """Return the refs that feed one of *targets* directly, and the staged refs they wait for."""
    queue = [i for i, c in enumerate(changes) if set(kind_of(c.ref).direct_targets) & set(targets)]
    predecessors, chosen = _build_graph(changes).predecessors, set[int]()
    while queue:
        node = queue.pop()
        if node not in chosen:
            chosen.add(node)
            queue += predecessors[node]
    return {changes[i].ref for i in chosen}


def _build_graph(nodes: Sequence[Change]) -> _Graph:
    last = {ref_key(change.ref): i for i, change in enumerate(nodes)}
    groups = _index_for_after(nodes)
    needs: list[set[int]] = [set() for _ in nodes]
    predecessors: list[set[int]] = [set() for _ in nodes]
    for i, change in enumerate(nodes):
        if i and nodes[i - 1].ref == change.ref:
            needs[i].add(i - 1)
        named = map(ref_key, references_of(change.ref, change.fields))
        needs[i] |= {last[key] for key in named if key in last}
        for child in map(ref_key, created_refs(change)):
            if child in last:
                needs[last[child]].add(i)
        predecessors[i] |= _after_rules(change, groups)
    for node in range(len(nodes)):
        needs[node].discard(node)
        predecessors[node] |= needs[node]
    return _Graph(needs, predecessors)


def created_refs(change: Change) -> list[Ref]:
    """Return the refs that a put of *change*'s ref creates on its own.

    A buyer brings its catalog (api-facts 5.2).
    """
    if change.op is not Op.PUT:
        return []
    ids = ids_of(change.ref)
    return [
        "/".join([made.kind, *(ids[name] for name in made.ids)])
        for made in kind_of(change.ref).creates
        if not change.fields.get(made.unless_field)
    ]


_Group = tuple[str, tuple[str, ...], tuple[str, ...]]


def _index_for_after(nodes: Sequence[Change]) -> dict[_Group, set[int]]:
    """Return the changes of each kind that some `after` names, keyed by the rule's IDs."""
    kinds = {kind_of(change.ref).name for change in nodes}
    rules = {(a.kind, a.shared_ids) for name in kinds for a in KINDS[name].after}
    by_kind = defaultdict(list)
    for kind, same in rules:
        by_kind[kind].append(same)
    groups: dict[_Group, set[int]] = defaultdict(set)
    for i, change in enumerate(nodes):
        kind = kind_of(change.ref).name
        for same in by_kind.get(kind, ()):
            groups[kind, same, _values(change.ref, same)].add(i)
    return groups


def _values(ref: Ref, names: Iterable[str]) -> tuple[str, ...]:
    """Return the values of the IDs *names* in *ref*, as keys."""
    ids = ids_of(ref)
    return tuple(ids[name].casefold() for name in names)


def _after_rules(change: Change, groups: dict[_Group, set[int]]) -> set[int]:
    before: set[int] = set()
    for rule in kind_of(change.ref).after:
        key = (rule.kind, rule.shared_ids, _values(change.ref, rule.shared_ids))
        before |= groups.get(key, set())
    return before


def assign_waves(refs: Sequence[Ref], predecessors: Sequence[Collection[int]]) -> list[int]:
    """Return the wave of each of *refs*, from 1: one more than that of its latest predecessor.

    Raises PlanCycle when they wait in a circle.
    """
    wave = [1] * len(refs)
    waiting = [len(before) for before in predecessors]
    followers: list[list[int]] = [[] for _ in refs]
    for node, before in enumerate(predecessors):
        for other in before:
            followers[other].append(node)
    ready = [node for node, count in enumerate(waiting) if not count]
    for node in ready:  # grows while it is walked
        for follower in followers[node]:
            wave[follower] = max(wave[follower], wave[node] + 1)
            waiting[follower] -= 1
            if not waiting[follower]:
                ready.append(follower)
    if len(ready) < len(refs):
        raise PlanCycle(
            _find_cycle(refs, predecessors, {n for n, count in enumerate(waiting) if count})
        )
    return wave


def _find_cycle(
    refs: Sequence[Ref], predecessors: Sequence[Collection[int]], stuck: Collection[int]
) -> list[Ref]:
    """Return one cycle among the *stuck*: walk back from any of them until a node repeats."""
    walk: list[int] = [min(stuck)]
    while True:
        before = min(n for n in predecessors[walk[-1]] if n in stuck)
        if before in walk:
            return [refs[n] for n in walk[walk.index(before) :]]
        walk.append(before)


class KindTotal(NamedTuple):
    """Row of the plan: entries folded into steps of one kind."""

    kind: str
    entries: int
    steps: int


def count_by_kind(steps: Iterable[Step]) -> list[KindTotal]:
    """Return a row per kind, in the table's order."""
    entries: Counter[str] = Counter()
    requests: Counter[str] = Counter()
    for step in steps:
        name = kind_of(step.ref).name
        entries[name] += len(step.change.entries)
        requests[name] += 1
    return [KindTotal(name, entries[name], requests[name]) for name in KINDS if name in requests]


class FedTargets(NamedTuple):
    """Targets that a plan feeds: *direct* ones, and those it may make resend."""

    direct: tuple[str, ...]
    indirect: tuple[str, ...]


def fed_targets(refs: Iterable[Ref]) -> FedTargets:
    """Return the targets that the kinds of *refs* feed; a direct one is not indirect too."""
    kinds = [KINDS[name] for name in {ref.partition("/")[0] for ref in refs}]
    direct = {target for kind in kinds for target in kind.direct_targets}
    possible = {target for kind in kinds for target in kind.indirect_targets} - direct
    return FedTargets(tuple(sorted(direct)), tuple(sorted(possible)))
