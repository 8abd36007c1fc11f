"""Plan of changes: ordered steps in waves. Pure and stable: equal changes give an equal plan.

A step waits for the staged refs that its own names (`references`, whose failure blocks it), for
those that only come first (`after`), for what a put creates (`creates`), and for entries that it
would make impossible (`follows`). Its wave is its longest path through these; inside a wave steps
run concurrently.

Where a ref has several changes, a step waits for the last one that was staged before it. A ref that
was staged only later goes first too, unless it has several changes and that makes a cycle.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import product, takewhile
from typing import NamedTuple

import msgspec

from ocsync.errors import PlanCycle
from ocsync.models import CREATING_OPS, Change, Op, Ref, Step
from ocsync.schema import (
    KINDS,
    ImplicitEntity,
    OrderedAfter,
    given_after_creation,
    ids_of,
    kind_of,
    parents_of,
    ref_key,
    references_of,
    write_url_of,
)

METHODS = {
    Op.SET: "PATCH", Op.PUT: "PUT", Op.ASSIGN: "POST", Op.GENERATE: "POST", Op.DELETE: "DELETE"
}  # fmt: skip
RANKS = {name: place for place, name in enumerate(KINDS)}
"""The place of each kind in a wave."""


class Plan(NamedTuple):
    """Steps in the order of their numbers: by wave, then kind, then first staged."""

    steps: Sequence[Step]
    waves: int


class _Graph(NamedTuple):
    """Order of changes, by index; those without any are in no mapping. An index beyond the changes
    is a barrier: what waits for it waits for all its predecessors.

    *needs* are the predecessors whose failure blocks a change, *follows* those that the change
    would make impossible. *loose* are pairs (change, predecessor) at which a cycle may be broken.
    """

    needs: dict[int, set[int]]
    follows: dict[int, set[int]]
    predecessors: dict[int, set[int]]
    loose: set[tuple[int, int]]


def build(changes: Iterable[Change]) -> Plan:
    """Return the plan of *changes*. Raises PlanCycle, naming its members, if they form one."""
    nodes = _divided(list(changes))
    graph = _build_graph(nodes)
    wave = _waves_of(nodes, graph)
    ranks = [RANKS[kind_of(node.ref).name] for node in nodes]
    order = sorted(range(len(nodes)), key=lambda i: wave[i] * len(RANKS) + ranks[i])
    number = [0] * len(nodes)
    for position, node in enumerate(order, 1):
        number[node] = position
    steps = tuple(
        Step(
            number=number[i],
            wave=wave[i],
            change=nodes[i],
            method=_method_of(nodes[i]),
            path=write_url_of(nodes[i].ref, nodes[i].fields),
            needs=tuple(sorted(number[n] for n in graph.needs.get(i, ()))),
            follows=tuple(sorted(number[n] for n in graph.follows.get(i, ()))),
        )
        for i in order
    )
    return Plan(steps, max(wave, default=0))


def _method_of(change: Change) -> str:
    is_link = change.op is Op.ASSIGN and kind_of(change.ref).link
    return "PUT" if is_link else METHODS[change.op]


def _divided(changes: list[Change]) -> list[Change]:
    """Return *changes* with each divided that names something below its own entity which is planned
    too: either would have to go before the other.
    """
    kinds = {change.ref.partition("/")[0] for change in changes}
    if not any(field.after_creation for name in kinds for field in KINDS[name].fields.values()):
        return changes
    later = [given_after_creation(kind_of(change.ref), change.fields) for change in changes]
    planned = {ref_key(change.ref) for change in changes}
    divided: list[Change] = []
    for change, fields in zip(changes, later, strict=True):
        named = {ref_key(ref) for ref in references_of(change.ref, fields)} if fields else set()
        rest = {path: value for path, value in change.fields.items() if path not in fields}
        if named & planned and (rest or change.adjust or change.op is Op.PUT):
            second = Change(op=Op.SET, ref=change.ref, fields=fields, entries=change.entries)
            divided += [msgspec.structs.replace(change, fields=rest), second]
        else:
            divided.append(change)
    return divided


def refs_feeding(changes: Sequence[Change], targets: Collection[str]) -> set[Ref]:
    """Return the refs that feed one of *targets* directly, and the staged refs they wait for."""
    wanted = {c.ref for c in changes if set(kind_of(c.ref).direct_targets) & set(targets)}
    first = _build_graph(changes).predecessors
    of_ref: dict[Ref, list[int]] = defaultdict(list)
    for i, change in enumerate(changes):
        of_ref[change.ref].append(i)
    chosen = set[Ref]()
    while wanted:
        ref = wanted.pop()
        chosen.add(ref)
        before = {n for i in of_ref[ref] for n in first.get(i, ())}
        barriers = {n for n in before if n >= len(changes)}
        before = (before - barriers).union(*(first[n] for n in barriers))
        wanted |= {changes[n].ref for n in before} - chosen
    return chosen


def _build_graph(nodes: Sequence[Change]) -> _Graph:
    kinds = [KINDS[name] for name in {kind_of(change.ref).name for change in nodes}]
    named = {reference.kind for kind in kinds for reference in kind.references}
    named |= {made.kind for kind in kinds for made in kind.creates}
    of_ref: dict[str, list[int]] = defaultdict(list)
    creators: dict[str, list[int]] = defaultdict(list)
    for i, change in enumerate(nodes):
        if kind_of(change.ref).name in named:
            of_ref[ref_key(change.ref)].append(i)
        for child in created_refs(change):
            creators[ref_key(child)].append(i)
    groups = _index_for_after((node.ref for node in nodes), {kind.name for kind in kinds})
    graph = _Graph(defaultdict(set), _follows(nodes), defaultdict(set), set())
    barriers: dict[_Group, int] = {}
    for i, change in enumerate(nodes):
        repeats = i > 0 and nodes[i - 1].ref == change.ref
        several = repeats or (i + 1 < len(nodes) and nodes[i + 1].ref == change.ref)
        if repeats:
            graph.needs[i].add(i - 1)
        if not (of_ref or creators or groups):
            continue
        for other in map(ref_key, references_of(change.ref, change.fields)):
            for creator in creators.get(other, ()):
                graph.needs[i].add(creator)
                graph.loose.add((i, creator))
            if other in of_ref:
                _add_reference(graph, nodes, i, of_ref[other], several=several)
        for child in map(ref_key, created_refs(change)):
            _add_created(graph, nodes, i, of_ref.get(child, []))
        for rule, key, found in _after_groups(change, groups):
            if rule.blocks:
                graph.needs[i] |= _blocking(rule, change, found, groups, nodes)
            if any(key[2]):
                graph.predecessors[i] |= found
            else:  # as many as there are, for as many as come after them: one node between
                barrier = barriers.setdefault(key, len(nodes) + len(barriers))
                graph.predecessors[barrier] = found
                graph.predecessors[i].add(barrier)
    for i in [*graph.needs]:
        graph.needs[i].discard(i)
    for i, followed in graph.follows.items():
        followed -= graph.needs.get(i, set())
        graph.loose.update((i, other) for other in followed)
    for edges in (graph.needs, graph.follows):
        for i, others in edges.items():
            graph.predecessors[i] |= others
    return graph


def _follows(nodes: Sequence[Change]) -> dict[int, set[int]]:
    """Return the changes that each of *nodes* follows, by the numbers of their entries."""
    following = {i: change for i, change in enumerate(nodes) if change.follows}
    if not following:
        return {}
    place = {seq: i for i, change in enumerate(nodes) for seq in change.entries}
    return {
        i: {place[seq] for seq in change.follows if seq in place} - {i}
        for i, change in following.items()
    }


def _add_reference(
    graph: _Graph, nodes: Sequence[Change], i: int, named: Sequence[int], *, several: bool
) -> None:
    """Let change *i* wait for one of *named*, the changes of a ref that it names.

    *several* says that it is not the only change of its own ref. It need not wait for one that only
    refers back, as that of the default option does of which it is one.
    """
    before = takewhile(lambda n: i not in graph.follows.get(n, ()), named)
    choice = [n for n in before if not _only_refers_back(nodes[n])]
    earlier = [n for n in choice if nodes[n].entries[:1] <= nodes[i].entries[-1:]]
    for other in [*reversed(earlier), *choice][:1]:
        graph.needs[i].add(other)
        if not earlier and (several or len(named) > 1 or _is_below(nodes[other].ref, nodes[i].ref)):
            graph.loose.add((i, other))


def _is_below(ref: Ref, parent: Ref) -> bool:
    return ref_key(parent) in map(ref_key, parents_of(ref))


def _only_refers_back(change: Change) -> bool:
    """Return whether *change* writes only what may name something below its entity."""
    later = given_after_creation(kind_of(change.ref), change.fields)
    return change.op is Op.SET and bool(later) and len(later) == len(change.fields)


def _add_created(graph: _Graph, nodes: Sequence[Change], i: int, children: Sequence[int]) -> None:
    """Let *children*, the changes of what change *i* creates too, wait for it.

    An earlier one that creates it by itself does not.
    """
    for child in children:
        later = nodes[child].entries[:1] > nodes[i].entries[:1]
        if later or nodes[child].op not in CREATING_OPS:
            graph.needs[child].add(i)
            graph.loose.add((child, i))


def _waves_of(nodes: Sequence[Change], graph: _Graph) -> list[int]:
    """Return the wave of each change. Raises PlanCycle.

    A cycle is broken at a loose pair.
    """
    refs = [node.ref for node in nodes]
    refs += [""] * (max(graph.predecessors, default=0) + 1 - len(nodes))
    while True:
        try:
            waves = assign_waves(refs, graph.predecessors)[: len(nodes)]
            place = {wave: number for number, wave in enumerate(sorted(set(waves)), 1)}
            return [place[wave] for wave in waves]
        except _Cycle as cycle:
            pairs = zip(cycle.nodes, [*cycle.nodes[1:], cycle.nodes[0]], strict=True)
            loose = next((pair for pair in pairs if pair in graph.loose), None)
            if loose is None:
                raise PlanCycle([refs[n] for n in cycle.nodes if refs[n]]) from None
            node, other = loose
            for edges in (graph.predecessors, graph.needs, graph.follows):
                if node in edges:
                    edges[node].discard(other)


def created_refs(change: Change) -> list[Ref]:
    """Return the refs that a put of *change*'s ref creates on its own.

    A buyer brings its catalog (guide/ordercloud.md 5.2).
    """
    if change.op is not Op.PUT:
        return []
    makes = kind_of(change.ref).creates
    return _refs_made(change.ref, (m for m in makes if not change.fields.get(m.unless_field)))


def decider_of(change: Change) -> Ref:
    """Return the ref that decides whether a put of *change* creates others; empty for none."""
    kind = kind_of(change.ref)
    names = {made.depends_on for made in kind.creates if change.fields.get(made.depends_on)}
    named = (r for r in kind.references if r.ids[-1] in names) if change.op is Op.PUT else ()
    return next((f"{r.kind}/{change.fields[r.ids[-1]]}" for r in named), "")


def linked_refs(ref: Ref) -> list[Ref]:
    """Return the refs that each write of *ref* creates where they are missing.

    A category product brings its catalog product (guide/ordercloud.md 5.2).
    """
    if not kind_of(ref).creates:
        return []
    return _refs_made(ref, (made for made in kind_of(ref).creates if not made.unless_field))


def _refs_made(ref: Ref, makes: Iterable[ImplicitEntity]) -> list[Ref]:
    ids = ids_of(ref)
    return ["/".join([made.kind, *(ids[name] for name in made.ids)]) for made in makes]


_Group = tuple[str, tuple[str, ...], tuple[str, ...]]


def _index_for_after(refs: Iterable[Ref], kinds: Collection[str]) -> dict[_Group, set[int]]:
    """Return the places of *refs*, which are of *kinds*, that some `after` names, keyed by the
    rule's IDs.
    """
    after = [rule for name in kinds for rule in KINDS[name].after if rule.kind in kinds]
    rules = {(rule.kind, rule.shared_ids) for rule in after}
    rules |= {(rule.kind, rule.through[1:]) for rule in after if rule.through[0]}
    by_kind = defaultdict(list)
    for kind, same in rules:
        by_kind[kind].append(same)
    groups: dict[_Group, set[int]] = defaultdict(set)
    for i, ref in enumerate(refs if by_kind else ()):
        kind = kind_of(ref).name
        for same in by_kind.get(kind, ()):
            groups[kind, same, _values(ref, same)].add(i)
    return groups


def _values(ref: Ref, names: Iterable[str]) -> tuple[str, ...]:
    """Return the values of the IDs *names* in *ref*, as keys."""
    ids = ids_of(ref)
    return tuple(ids.get(name, "").casefold() for name in names)


def _after_groups(
    change: Change, groups: Mapping[_Group, set[int]]
) -> Iterator[tuple[OrderedAfter, _Group, set[int]]]:
    """Yield the changes that go before *change*, by rules of its kind and by group.

    An ID that one of them leaves out matches any.
    """
    for rule in kind_of(change.ref).after if groups else ():
        optional = KINDS[rule.kind].ids[len(KINDS[rule.kind].needed_ids) :]
        values = _values(change.ref, rule.shared_ids)
        choices = [
            (value, "") if name in optional else (value,)
            for name, value in zip(rule.shared_ids, values, strict=True)
        ]
        for choice in product(*choices):
            key = (rule.kind, rule.shared_ids, choice)
            if found := groups.get(key):
                yield rule, key, found


def _blocking(
    rule: OrderedAfter,
    change: Change,
    found: set[int],
    groups: Mapping[_Group, set[int]],
    nodes: Sequence[Change],
) -> set[int]:
    """Return those of *found*, by *rule*, whose failure blocks *change*."""
    kind, name = rule.through
    if not kind:
        return found
    other = next(one for one in kind_of(change.ref).after if one.kind == kind)
    between = groups.get((kind, other.shared_ids, _values(change.ref, other.shared_ids)), ())
    linked = {_values(nodes[n].ref, (name,)) for n in between}
    return {n for value in linked for n in groups.get((rule.kind, (name,), value), ())}


class _Cycle(PlanCycle):
    """A cycle, by the indexes of its members: each waits for the next."""

    def __init__(self, refs: Sequence[Ref], nodes: list[int]) -> None:
        super().__init__([refs[node] for node in nodes])
        self.nodes = nodes


def assign_waves(
    refs: Sequence[Ref],
    predecessors: Mapping[int, Collection[int]],
    start: Sequence[int] = (),
) -> list[int]:
    """Return the wave of each of *refs*, from 1: one more than that of its latest predecessor.

    None is below its wave in *start*, if that is given. Raises PlanCycle.
    """
    wave = list(start) or [1] * len(refs)
    waiting = {node: len(before) for node, before in predecessors.items() if before}
    followers: dict[int, list[int]] = defaultdict(list)
    for node, before in predecessors.items():
        for other in before:
            followers[other].append(node)
    ready = [node for node in range(len(refs)) if node not in waiting]
    for node in ready:  # grows while it is walked
        for follower in followers.get(node, ()):
            wave[follower] = max(wave[follower], wave[node] + 1)
            waiting[follower] -= 1
            if not waiting[follower]:
                ready.append(follower)
    if len(ready) < len(refs):
        stuck = {node for node, count in waiting.items() if count}
        raise _Cycle(refs, _find_cycle(predecessors, stuck))
    return wave


def _find_cycle(predecessors: Mapping[int, Collection[int]], stuck: Collection[int]) -> list[int]:
    """Return one cycle among the *stuck*: walk back from any of them until a node repeats."""
    walk: list[int] = [min(stuck)]
    while True:
        before = min(n for n in predecessors[walk[-1]] if n in stuck)
        if before in walk:
            return walk[walk.index(before) :]
        walk.append(before)


class Predecessors:
    """The steps of a plan that go before each other step: needed by it, or only earlier."""

    def __init__(self, steps: Sequence[Step]) -> None:
        kinds = {step.ref[: step.ref.find("/")] for step in steps}
        self._steps = steps
        self._groups = _index_for_after((step.ref for step in steps), kinds)

    def of(self, step: Step) -> set[int]:
        """Return the numbers of the steps that go before *step*."""
        before = (found for _, _, found in _after_groups(step.change, self._groups))
        return {*step.needs, *(self._steps[i].number for some in before for i in some)}


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
        ref = step.change.ref
        name = ref[: ref.find("/")]
        entries[name] += len(step.change.entries)
        requests[name] += 1
    return [KindTotal(name, entries[name], requests[name]) for name in KINDS if name in requests]


class FedTargets(NamedTuple):
    """Targets that a plan feeds: *direct* ones, and those it may make resend."""

    direct: tuple[str, ...]
    indirect: tuple[str, ...]


def fed_targets(refs: Iterable[Ref]) -> FedTargets:
    """Return the targets that *refs* (or kinds) feed; a direct one is not indirect too."""
    kinds = [KINDS[name] for name in {ref.partition("/")[0] for ref in refs}]
    direct = {target for kind in kinds for target in kind.direct_targets}
    possible = {target for kind in kinds for target in kind.indirect_targets} - direct
    return FedTargets(tuple(sorted(direct)), tuple(sorted(possible)))
