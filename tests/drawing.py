"""Random scenarios, drawn from the table of kinds: a new row of it is drawn like the others.

Every ID of a scenario begins with its prefix, so that one resume takes many of them at once.
"""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import msgspec

from tests.known_faults import Case, avoided, deep_keys, is_fair
from tests.model import (
    KINDS,
    RULED,
    STOCK,
    TRACKING,
    Document,
    Entry,
    Field,
    FieldType,
    Key,
    Kind,
    Model,
    Op,
    Refused,
    Row,
    Unclear,
    blank,
    ids_of,
    key_of,
    kind_of,
    named_in,
    parents_of,
    value_at,
)
from tests.scenarios import (
    OWNER,
    Meddling,
    Mode,
    Round,
    Scenario,
    Write,
    after,
    attempt,
    brought_by,
    named_by,
    refuses,
    write_to,
)

WORDS = ["x", "y", "Größe 7"]
CHOICES: dict[str, list[Any]] = {
    "Country": ["DE", "FR", "US"],
    "Currency": ["EUR", "USD"],
    "SaleStart": ["2026-01-01T00:00:00Z", "2026-03-01T00:00:00Z"],
    "SaleEnd": ["2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z"],
    "DiscountBreaks": [[{"Quantity": 1, "Amount": 2.5}], [{"Quantity": 5, "Amount": 10}]],
    "PriceBreaks": [[{"Quantity": 1, "Price": 2.5}], [{"Quantity": n, "Price": 2} for n in (1, 5)]],
}
"""Values of fields that a rule speaks about; others are drawn by their type."""
_LEAVES: list[Any] = [0, 1, 7, True, "x", "", None, [1, 2], [], 2.5]


def _pools(prefix: str) -> dict[str, list[str]]:
    """Return the IDs of a scenario by their names; they are few, so that edits meet."""
    found = {
        name: [f"{prefix}{name.removesuffix('ID')}{n}" for n in range(_WIDE.get(name, 2))]
        for kind in KINDS.values()
        for name in kind.ids
    }
    for kind in KINDS.values():
        for made in kind.creates:  # a buyer's own catalog has the buyer's ID
            for own, other in zip(KINDS[made.kind].ids, made.ids, strict=False):
                found[own] = [*dict.fromkeys([*found[own], *found[other]])]
    return found


_WIDE = {"ProductID": 3, "CategoryID": 3}
_NAMED = [reference.kind for kind in KINDS.values() for reference in kind.references]
_WEIGHTS = {
    name: 3
    + len(kind.references)
    + _NAMED.count(name) / 2
    + 9 * any(known.volatile and "." not in path for path, known in kind.fields.items())
    + 4 * (not (kind.assignment or kind.allows_put))
    for name, kind in KINDS.items()
}
"""A kind is drawn more often the more others it names and is named by, if it is stock, and if no
request creates one, so that there are few.
"""


def summable(kind: Kind) -> list[str]:
    """Return the fields of *kind* that can be adjusted."""
    return _fields_of(kind.name).summable


class _Fields(NamedTuple):
    """Fields of a kind: those to adjust, all that edits write, and those that some edits need."""

    summable: list[str]
    written: list[str]
    due_in_put: list[str]
    due_on_assign: list[str]


@cache
def _fields_of(name: str) -> _Fields:
    fields = KINDS[name].fields
    numbers = (FieldType.INTEGER, FieldType.NUMBER)
    written = [
        path for path, known in fields.items()
        if not (known.read_only or known.write_only or known.create_only)
    ]  # fmt: skip
    on_assign = [path for path in written if fields[path].required_on_assign]
    in_put = [path for path in written if fields[path].required or path in on_assign]
    summable = [p for p, known in fields.items() if known.type in numbers and not known.read_only]
    return _Fields(summable, written, in_put, on_assign)


def _given(document: Document, paths: Iterable[str]) -> Document:
    """Return the fields at these paths, as far as they are given."""
    found = {path: value_at(document, path) for path in paths if path != "xp"}
    return {path: value for path, value in found.items() if value is not None}


def _overlap(path: str, other: str) -> bool:
    """Return whether one of two paths is the other or leads to it."""
    shorter, longer = (path, other) if len(path) < len(other) else (other, path)
    return longer.startswith(shorter) and longer[len(shorter) :][:1] in ("", ".")


class Draw:
    """Random refs, values and edits of one scenario; *model* is what is there."""

    def __init__(self, chance: random.Random, prefix: str, mode: Mode) -> None:
        self.chance = chance
        self.mode = mode
        self.prefix = prefix
        self.model = Model(OWNER)
        self._fresh = itertools.count(1)
        self._pools = _pools(prefix)
        drawn = {  # what is generated stays, so it is not to be undone
            name: kind for name, kind in KINDS.items() if not (kind.action and mode.undo)
        }
        self._refs = {name: [*self._all(kind)] for name, kind in drawn.items()}
        self._sharing: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for name, refs in self._refs.items():
            for ref in refs:
                for value in filter(None, ref.split("/")[1:]):
                    self._sharing[value][name].append(ref)

    def _all(self, kind: Kind) -> Iterator[str]:
        for party in kind.parties:
            names = {*kind.needed_ids, *party}
            pools = [self._pools[name] if name in names else [""] for name in kind.ids]
            for values in itertools.product(*pools):
                yield "/".join([kind.name, *values]).rstrip("/")

    def likely(self, share: float) -> bool:
        """Return true in this share of all cases."""
        return self.chance.random() < share

    def ref(self, earlier: Sequence[str] = ()) -> str:
        """Return any ref; more often an *earlier* one, or one that shares an ID with it."""
        refs = self._refs
        if earlier and self.likely(0.8):
            ref = self.chance.choice(earlier)
            if self.likely(0.4):
                return ref
            refs = self._sharing.get(self.chance.choice([*ids_of(ref).values()]), refs)
        names = [*refs]
        [name] = self.chance.choices(names, [_WEIGHTS[name] for name in names])
        return self._spelled(self.chance.choice(refs[name]), 0.05)

    def _spelled(self, text: str, share: float) -> str:
        """Return a ref or an ID, its IDs in another case in this share of all cases."""
        name, slash, ids = text.rpartition("/") if "/" not in text else text.partition("/")
        return name + slash + ids.swapcase() if self.likely(share) else text

    def _value(self, kind: Kind, path: str) -> Any:
        known, name = kind.fields[path], path.rpartition(".")[2]
        if not known.required and self.likely(0.15):
            return None if known.nullable else False
        for reference in kind.references:
            if path == reference.ids[-1]:
                return self._spelled(self._named(KINDS[reference.kind]), 0.2)
        if name == "Username":
            return self._user_name()
        if name in CHOICES:
            return self.chance.choice(CHOICES[name])
        return self.typed(known)

    def _named(self, kind: Kind) -> str:
        """Return an ID of something that exists, as a rule."""
        pool = self._pools[kind.ids[-1]]
        found = {key_of(row.ref)[-1] for row in self.model.of_kind(kind.name)}
        there = [one for one in pool if one.casefold() in found]
        return self.chance.choice(there if there and self.likely(0.95) else pool)

    def _user_name(self) -> str:
        """Return a new user name, or one that somebody has or had."""
        number = next(self._fresh)
        old = self.likely(0.3)
        return f"{self.prefix}{self.chance.randint(1, number) if old else number}"

    def typed(self, known: Field) -> Any:
        """Return a value of the field's type."""
        if known.choices:
            return self.chance.choice(known.choices)
        if known.type is FieldType.TEXT:
            fit = [word for word in WORDS if len(word) <= (known.max or len(word))]
            return self.chance.choice(fit if known.required else [*fit, ""])
        if known.type is FieldType.INTEGER:
            low = -2 if known.min is None else known.min
            return self.chance.randint(low, low + 9)
        if known.type is FieldType.NUMBER:
            return self.chance.randint(0, 20) / 4
        if known.type is FieldType.BOOLEAN:
            return self.likely(0.5)
        if known.type is FieldType.DATE:
            return self.chance.choice(["2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z"])
        return [self.chance.choice(_LEAVES)]

    def _xp(self) -> tuple[str, Any]:
        """Return a path of xp and a value.

        Where the platform merges inside a key, a key that is replaced keeps the members that the
        value lacks, and nobody promises otherwise. There a key is written in one way only, and
        not inside where it is to be undone.
        """
        if self.mode.merge:
            paths = ["xp.d"] if self.mode.undo else ["xp.a.b", "xp.a.c", "xp.n.m", "xp.d"]
            return self.chance.choice(paths), self.chance.choice([0, 1, True, "x", None])
        path = self.chance.choice(["xp.a", "xp.a.b", "xp.a.b.e", "xp.d", "xp.n", "xp.n.m"])
        leaf = self.chance.choice(_LEAVES)
        return path, {"b": 1, "c": leaf} if self.likely(0.3) else leaf

    def _fields(self, kind: Kind, names: Iterable[str]) -> Document:
        """Return values for these fields; `xp` stands for some path of it."""
        found: Document = {}
        for name in names:
            path, value = self._xp() if name == "xp" else (name, self._value(kind, name))
            if not any(_overlap(path, other) for other in found):
                found[path] = value
        return found

    def entry(self, ref: str, op: Op | None = None) -> Entry:
        """Return an edit of *ref* that can be staged; whether the platform takes it shows later."""
        kind = kind_of(ref)
        ops = [one for one in kind.ops if one is not Op.ADJUST or summable(kind)]
        if Op.PUT in ops and not self.model.has(ref):
            ops = [Op.PUT]
        op = op or self.chance.choice(ops)
        if op is Op.ADJUST:
            path = self.chance.choice(summable(kind))
            amount = self.chance.randint(-3, 9)
            fields = {path: amount / 4 if kind.fields[path].type is FieldType.NUMBER else amount}
            return Entry(op=op, ref=ref, fields=fields)
        known = _fields_of(kind.name)
        names, due = known.written, known.due_in_put if op is Op.PUT else known.due_on_assign
        due = [*due, *(n for n in names if kind.fields[n].required_with in ids_of(ref))]
        if op is Op.PUT and not self.model.has(ref):
            names = [path for path in names if not kind.fields[path].after_creation]
        number = min(len(names), self.chance.randint(int(op is Op.SET), 3))
        now = self.model.rows.get(key_of(ref))
        if op is Op.PUT and now and self.likely(0.3):  # what is there, but for what it leaves out
            same = self.chance.sample(names, number)
            return Entry(op=op, ref=ref, fields=_given(now.document, [*due, *same]), replace=True)
        fields = self._fields(kind, dict.fromkeys([*due, *self.chance.sample(names, number)]))
        empty = [name for name in due if fields[name] is None]
        if any(kind.fields[name].required_with for name in empty):
            return self.entry(ref, op)  # only a flag may be made false
        fields |= dict.fromkeys(empty, False)
        if op is Op.PUT and "xp" in kind.fields and self.likely(0.6):
            fields["xp.put"] = next(self._fresh)
        return Entry(op=op, ref=ref, fields=fields, replace=op is Op.PUT and self.model.has(ref))

    def expecting(self, entry: Entry) -> Entry:
        """Return *entry* with the value that is there now as the expected one, or a wrong one."""
        kind, model = kind_of(entry.ref), self.model
        paths = [
            path for path, known in kind.fields.items()
            if known.type not in (FieldType.OBJECT, FieldType.LIST)
            and not (known.read_only or known.write_only or known.create_only)
            and not (path == STOCK and model.records_of(entry.ref))
        ]  # fmt: skip
        if not paths or (self.mode.lag and kind.eventually_consistent) or not model.has(entry.ref):
            return entry
        path = self.chance.choice(paths)
        value = value_at(model.shown(entry.ref), path)
        if kind.fields[path].type is FieldType.TEXT and self.likely(0.1):
            value = "never this"
        if path in entry.fields and entry.fields[path] == value:
            return entry  # such an edit changes nothing, and an import leaves it out
        return msgspec.structs.replace(entry, expect={path: value})

    def marketplace(self) -> Model:
        """Return a marketplace to begin with, in which a part of everything exists."""
        brought = {
            made
            for kind in KINDS.values()
            if not (kind.assignment or kind.action)
            for ref in self._refs[kind.name]
            for made in brought_by(ref)
        }
        for name, kind in KINDS.items():
            for ref in self._refs.get(name, ()) if not kind.action else ():
                few = min(0.2, 5 / len(self._refs[name]))
                if self.likely(few if kind.assignment or ref in brought else 0.7):
                    any(self._planted(ref) for _ in range(3))
        return self.model

    def _planted(self, ref: str) -> bool:
        kind = kind_of(ref)
        if not (kind.assignment or kind.allows_put):  # no request creates one
            if not all(map(self.model.has, parents_of(ref))):
                return False
            secrets = {name: "secret" for name, known in kind.fields.items() if known.write_only}
            names = [name for name, known in kind.fields.items() if known.required]
            document = {**blank(kind), **secrets, **self._fields(kind, names)}
            if "Username" in document:
                document["Username"] = f"{self.prefix}{next(self._fresh)}"
            self.model.rows[key_of(ref)] = Row(ref, document)
            return True
        entry = self.entry(ref, Op.ASSIGN if kind.assignment else Op.PUT)
        for path, known in kind.fields.items():
            if known.volatile and "." not in path and self.likely(0.8):
                entry.fields[path] = self.typed(known)
        if "Inventory.Enabled" in kind.fields and self.likely(0.7):
            family = entry.fields.get("ParentID") or entry.fields.get("IsParent")
            tracks = not family and self.likely(0.4)
            entry.fields.update({"Inventory.Enabled": True, TRACKING: tracks})
        return attempt(self.model, entry)

    def edits(self, number: int, others: Sequence[Write] = ()) -> list[Entry]:
        """Return up to *number* edits in the order in which they are staged; *others* wrote before.

        Some undo the state that an earlier one needs.
        """
        before, found = self.model.copy(), list[Entry]()
        written = [one if isinstance(one, str) else one.ref for one in others]
        for _ in range(3 * number):
            if len(found) == number:
                break
            named = [ref for one in found for ref in named_in(one.ref, one.fields)]
            against = bool(named) and self.likely(0.3)
            near = [one.ref for one in found] or written
            ref = self.chance.choice(named) if against else self.ref(near)
            entry = self._edit(before, found, ref, against=against)
            if entry:
                found.append(entry)
        return found

    def _edit(
        self, before: Model, earlier: list[Entry], ref: str, *, against: bool
    ) -> Entry | None:
        """Return one more edit of *ref*, if one of a few is accepted.

        One *against* the earlier ones ends the state that one of another ref needs. Now and then it
        is one that the platform refuses.
        """
        for _ in range(8 if against else 4):
            entry = self.entry(ref)
            if self.likely(0.15):
                entry = self.expecting(entry)
            now = self.model.copy()
            try:
                now.apply(entry)
            except Unclear:
                continue
            except Refused:
                if not self.likely(0.03):
                    continue
            if avoided(Case(before, earlier, entry, self.mode)):
                continue
            if not against or any(refuses(now, one) for one in earlier if one.ref != ref):
                self.model = now
                return entry
        return None

    def writes(self, number: int) -> list[Write]:
        """Return what another writer does, and do it."""
        found: list[Write] = []
        for _ in range(number):
            ref = self.ref()
            kind = kind_of(ref)
            if kind.eventually_consistent and self.mode.lag:
                continue  # no read shows what another writer has just written there
            write: Write = ref if kind.deletable and self.likely(0.2) else self.entry(ref)
            if not isinstance(write, str) and (write.op is Op.ADJUST or deep_keys(write)):
                continue
            try:
                write_to(self.model, write)
            except Refused:
                continue
            found.append(write)
        return found

    def meddling(self, before: Model, edits: Sequence[Entry]) -> list[Meddling]:
        """Return writes to fields that no edit writes or expects, of what is there all the time."""
        whole = {key_of(one.ref) for one in edits if one.op in (Op.PUT, Op.ASSIGN)}
        written: dict[Key, set[str]] = defaultdict(set)
        for one in edits:
            written[key_of(one.ref)] |= {*one.fields, *one.expect}
        rows = {
            key: row for key, row in before.rows.items()
            if key in self.model.rows and key not in whole and key[0] in KINDS
            and not kind_of(row.ref).assignment
        }  # fmt: skip
        keys = [key for key in rows if key in written] or [*rows]
        keys = self.chance.sample(keys, min(2, len(keys)))
        found = (self._meddling(rows[key], written[key], edits) for key in keys)
        return [one for one in found if one]

    def _meddling(self, row: Row, written: set[str], edits: Sequence[Entry]) -> Meddling | None:
        kind = kind_of(row.ref)
        names = {reference.ids[-1] for reference in kind.references} | RULED | written
        deep = {key for one in edits if one.ref == row.ref for key in deep_keys(one)}
        deep = {key for key in deep if f"xp.{key}" not in written}
        if deep and not (self.mode.lag and kind.eventually_consistent):
            key = self.chance.choice(sorted(deep))
            return Meddling(row.ref, f"xp.{key}.other", next(self._fresh), inspected=True)
        plain = [
            name for name, known in kind.fields.items()
            if known.type in (FieldType.TEXT, FieldType.BOOLEAN, FieldType.NUMBER) and name not in names
            and "." not in name and not (known.read_only or known.write_only or known.create_only)
        ]  # fmt: skip
        if plain and self.likely(0.5):
            name = self.chance.choice(plain)
            return Meddling(row.ref, name, self.typed(kind.fields[name]))
        if "xp" in kind.fields:
            return Meddling(row.ref, "xp.other", next(self._fresh))
        return None


def draw(seed: int, number: int, mode: Mode) -> Scenario:
    """Return scenario *number* of a batch."""
    one = Draw(random.Random(f"{seed}:{number}"), f"w{number}-", mode)
    now = one.marketplace()
    start, rounds = now.copy(), list[Round]()
    for deleting in [False] if mode.undo or one.likely(0.7) else [False, True]:
        one.model = now.copy()
        turn = Round(writes=one.writes(2) if one.likely(0.4) else [])
        before = one.model.copy()
        turn.edits = one.edits(one.chance.randint(1, 3 if deleting else 5), turn.writes)
        if deleting:
            there = [row.ref for key, row in before.rows.items() if key[0] in KINDS]
            there = [ref for ref in there if kind_of(ref).deletable]
            turn.deletes = one.chance.sample(there, min(len(there), one.chance.randint(1, 2)))
        elif one.likely(0.5):
            turn.meddling = one.meddling(before, turn.edits)
        rounds.append(_made_fair(now, turn, mode))
        now = after(now, rounds[-1])
    scenario = Scenario(f"{seed}:{number}", one.prefix, start, rounds)
    if mode.undo and one.likely(0.4):
        one.model = now.copy()
        scenario.after = one.writes(2)
    return scenario


def _made_fair(model: Model, turn: Round, mode: Mode) -> Round:
    if not is_fair(model, turn, mode):
        turn = replace(turn, deletes=[])
    while not is_fair(model, turn, mode):
        turn = replace(turn, edits=turn.edits[:-1], meddling=[])
    return turn


def smaller(scenario: Scenario, mode: Mode) -> Iterator[Scenario]:
    """Yield the fair scenarios that lack one thing of *scenario*."""
    for one in _smaller(scenario):
        now, fair = one.start.copy(), True
        for turn in one.rounds:
            fair = fair and is_fair(now, turn, mode)
            now = after(now, turn) if fair else now
        if fair and _accepts(now, one.after):
            yield one


def _accepts(model: Model, writes: Iterable[Write]) -> bool:
    """Return whether *model* takes the *writes* of another writer, and write them."""
    try:
        for write in writes:
            write_to(model, write)
    except Refused:
        return False
    return True


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    for n, turn in enumerate(scenario.rounds):
        for less in _shorter(turn):
            yield replace(scenario, rounds=[*scenario.rounds[:n], less, *scenario.rounds[n + 1 :]])
    for n in range(len(scenario.after)):
        yield replace(scenario, after=scenario.after[:n] + scenario.after[n + 1 :])


def _shorter(turn: Round) -> Iterator[Round]:
    for name in ("edits", "writes", "deletes", "meddling"):
        some = getattr(turn, name)
        for n in range(len(some)):
            yield replace(turn, **{name: some[:n] + some[n + 1 :]})
    for n, entry in enumerate(turn.edits):
        for less in _slimmer(entry):
            yield replace(turn, edits=[*turn.edits[:n], less, *turn.edits[n + 1 :]])


def _slimmer(entry: Entry) -> Iterator[Entry]:
    """Yield *entry* with one field or expected value less, as far as it can be staged."""
    fields = kind_of(entry.ref).fields
    for path in entry.fields:
        known = fields.get(path)
        due = known and ((entry.op is Op.PUT and known.required) or known.required_on_assign)
        less = {p: value for p, value in entry.fields.items() if p != path}
        if not due and (less or entry.op in (Op.PUT, Op.ASSIGN)):
            yield msgspec.structs.replace(entry, fields=less)
    for path in entry.expect:
        less = {p: value for p, value in entry.expect.items() if p != path}
        yield msgspec.structs.replace(entry, expect=less)


def told(scenario: Scenario) -> str:
    """Return what is there and what happens, as far as the scenario names it."""
    named: set[Key] = set()
    for turn in scenario.rounds:
        for write in (*turn.edits, *turn.writes, *turn.deletes):
            named |= {key_of(write if isinstance(write, str) else write.ref)}
            named |= set() if isinstance(write, str) else named_by(write)
    lines = [f"scenario {scenario.name}"]
    for key, row in scenario.start.rows.items():
        if key in named:
            shown = {n: v for n, v in row.document.items() if v is not None and v is not False}
            lines.append(f"  there: {row.ref} {shown}")
    for turn in scenario.rounds:
        lines += [f"  stage {_line(entry)}" for entry in turn.edits]
        lines += [f"  another writer: {_line(write)}" for write in turn.writes]
        lines += [f"  ocsync delete {ref}" for ref in turn.deletes]
        lines += [f"  during the run: {one}" for one in turn.meddling]
        lines.append("  ocsync resume --verify")
    return "\n".join([*lines, *(f"  another writer: {_line(write)}" for write in scenario.after)])


def _line(write: Write) -> str:
    if isinstance(write, str):
        return f"delete {write}"
    replaces = " --replace" if write.replace else ""
    expects = f" expecting {write.expect}" if write.expect else ""
    return f"{write.op.value} {write.ref} {write.fields}{replaces}{expects}"
