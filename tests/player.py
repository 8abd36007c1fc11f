"""Plays scenarios: the real commands on a real emulator, held against the model after each step.

One resume takes all scenarios of a batch. In each round edits are staged, another writer writes,
some of what is there is deleted, and `resume --verify` is repeated until nothing is left or nothing
more goes through. Then the last run is undone and what it created is deleted.
"""

from __future__ import annotations

import itertools
import json
import random
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from ocsync.emulator.app import Emulator
from ocsync.emulator.faults import Fault, FaultInjector
from ocsync.errors import ExitCode
from tests.builders import HTTP, Result, Shop
from tests.conftest import Run
from tests.model import (
    IRREVOCABLE,
    Document,
    Entry,
    Model,
    Op,
    body_ids,
    delete_url_of,
    differences,
    irrevocable,
    kind_of,
    named_in,
    unset,
    url_of,
    without_inherited,
    write_url_of,
)
from tests.scenarios import (
    OWNER,
    Meddling,
    Mode,
    Round,
    Scenario,
    Settled,
    Write,
    attempt,
    brought_by,
    in_some_order,
    is_there,
    meddled,
    record_of,
    settle,
    write_to,
)

HASTE = 30.0
"""So many times as quickly does the client wait, and its clock run."""
LAG = 0.1
"""Seconds in which the read of a product is stale."""
FAULTS: list[dict[str, Any]] = [
    {"status": 500, "rate": 0.02},
    {"status": 504, "rate": 0.02, "effect": True},
    {"status": 429, "rate": 0.02, "retry_after": 0.1},
    {"action": "reset", "rate": 0.02},
    {"action": "reset", "rate": 0.02, "effect": True},
]
"""One request in ten."""
RESUME = ("resume", "--verify", "--json", "--on-conflict", "skip", "--allow-risky", "zero-stock",
          "--allow-risky", "xp-type", "--settle", "60s", "--max-wait", "30m")  # fmt: skip
"""The longest wait is for a busy machine: what waits in haste gives up in haste."""
PATIENCE = 4
"""Resumes with faults that may leave the same, by chance, before that counts as the end."""
METHODS = {Op.SET: "PATCH", Op.ADJUST: "PATCH", Op.PUT: "PUT", Op.ASSIGN: "POST",
           Op.GENERATE: "POST"}  # fmt: skip
BESIDE = ("product-supplier/", "catalog-product/")
"""What comes into being beside a write, and stays when that is undone: rollback says so."""
REMAINS = ("keeps its", "is not restored", "remain")
"""Words of rollback for values that it cannot restore."""

Problems = dict[str, list[str]]
Rules = Sequence[dict[str, Any]]


def some_faults(scenarios: Iterable[Scenario], seed: int) -> Rules:
    """Return the faults of a batch; one write gets no answer for longer than it is tried.

    It is of no kind whose reads may be stale: nobody can tell what came of that.
    """
    turns = [turn for one in scenarios for turn in one.rounds]
    edits = [
        entry
        for turn in turns
        for entry in turn.edits
        if entry.op is not Op.ASSIGN and not kind_of(entry.ref).eventually_consistent
    ]
    chance = random.Random(seed)
    effect = chance.random() < 0.5  # a 500 is OrderCloud's own refusal
    stuck = {"status": 504 if effect else 500, "effect": effect, "times": 8}
    paths = [
        {**stuck, "method": METHODS[entry.op], "path": url_of(entry.ref)}
        for entry in chance.sample(edits, min(1, len(edits)))
    ]
    return [*paths, *FAULTS]


class Trouble(FaultInjector):
    """FaultInjector while a command runs, and another writer's writes in between."""

    def __init__(self, emulator: Emulator, rules: Rules, seed: int) -> None:
        super().__init__()
        self._emulator = emulator
        self.active = False
        self._due: list[tuple[int, Meddling]] = []
        self._seen = 0
        self.replace_rules(
            [*rules, {"rate": 0.0, "status": 500}]
        )  # without any rule it is never asked
        self._random.seed(seed)

    def next_fault(self, method: str, path: str) -> Fault | None:
        """Return the fault for this request, after what another writer does before it."""
        if not self.active:
            return None
        self._seen += 1
        pauses = method == "PATCH" and path.startswith("/integrations")
        for place, one in [*self._due]:
            if pauses if one.inspected else place <= self._seen:
                self._meddle(place, one)
        return super().next_fault(method, path)

    def plan(self, writes: Iterable[Meddling], chance: random.Random, requests: int) -> None:
        """Spread *writes* over the next so many requests."""
        self._seen = 0
        self._due = [(chance.randint(1, requests), one) for one in writes]

    def finish(self) -> None:
        """Make the writes that are still due."""
        for place, one in [*self._due]:
            self._meddle(place, one)

    def _meddle(self, place: int, one: Meddling) -> None:
        self._due.remove((place, one))
        row = self._emulator.market.tables[kind_of(one.ref).name].get(one.ref.split("/")[1:])
        assert row
        row.document = meddled(row.document, one)


class Player:
    """One batch on an empty emulator, in an empty workspace.

    *models* is what each marketplace has to be, by prefix; *problems* is what is wrong, by scenario.
    """

    def __init__(
        self,
        run: Run,
        shop: Shop,
        scenarios: Sequence[Scenario],
        mode: Mode,
        *,
        seed: int,
        rules: Rules = (),
    ) -> None:
        self.problems: Problems = defaultdict(list)
        self.models = {one.prefix: one.start.copy() for one in scenarios}
        self._run = run
        self._shop = shop
        self._scenarios = {one.prefix: one for one in scenarios}
        self._mode = mode
        self._chance = random.Random(seed)
        self._before: dict[str, Model] = {}
        self._summary: Document = {}
        self._runs: list[str] = []
        self._first: set[int] = set()
        shop.emulator.reset()
        form = {"grant_type": "client_credentials", "client_id": OWNER, "client_secret": OWNER}
        token = HTTP.post(shop.url + "/oauth/token", data=form).json()["access_token"]
        self._headers = {"Authorization": f"Bearer {token}"}
        self._trouble = shop.emulator.faults = Trouble(shop.emulator, rules, seed)
        if mode.lag:
            shop.switch(product_lag=LAG, lag_get=True)
        if mode.merge:
            shop.switch(nested_xp="merge")
        seeds: dict[str, list[Document]] = defaultdict(list)
        for model in self.models.values():
            for name, documents in model.seed().items():
                seeds[name] += documents
        names = [f"{prefix}SecurityProfile{n}" for prefix in self.models for n in range(2)]
        seeds["security-profile"] = [{"ID": name, "Name": name, "Roles": []} for name in names]
        shop.seed(targets="all", **seeds)

    def play(self) -> Problems:
        """Play everything; return what is wrong, by scenario."""
        for n in range(max(len(one.rounds) for one in self._scenarios.values())):
            scenarios = self._scenarios.items()
            self._round({p: one.rounds[n] for p, one in scenarios if n < len(one.rounds)})
        if self._mode.undo:
            self._undo()
        return self.problems

    def _tell(self, prefix: str, text: str) -> None:
        self.problems[self._scenarios[prefix].name].append(text)

    def _ocsync(self, *words: str, stdin: bytes = b"", stops: tuple[int, ...] = (0,)) -> Result:
        self._trouble.active = True
        for _ in range(5):
            result = self._run(*words, stdin=stdin)
            if result.code != ExitCode.TRY_LATER:
                break
        self._trouble.active = False
        assert result.code in stops, (words[0], result.code, result.out[-2000:], result.err[-2000:])
        return result

    def _staged(self) -> dict[str, list[int]]:
        """Return the numbers of what is staged, by ref."""
        shown = self._ocsync("stage", "list", "--limit", "0", "--json").data
        return {one["ref"]: sorted(one["entries"]) for one in shown["staged"]}

    def _stage(self, turns: Mapping[str, Round]) -> dict[str, list[int]]:
        """Stage the edits, of all scenarios in turn; return their numbers by prefix."""
        turn_by_turn = itertools.zip_longest(*(turn.edits for turn in turns.values()))
        edits = [entry for some in turn_by_turn for entry in some if entry]
        if edits:
            lines = "\n".join(json.dumps(record_of(entry)) for entry in edits)
            self._ocsync("stage", "import", "-", "--format", "jsonl", stdin=lines.encode())
        staged = {ref: iter(numbers) for ref, numbers in self._staged().items()}
        return {p: [next(staged[one.ref]) for one in turn.edits] for p, turn in turns.items()}

    def _write(self, write: Write) -> None:
        """Let another writer write."""
        if isinstance(write, str):
            self._call("DELETE", delete_url_of(write), None)
            return
        body: Document = {}
        for path, value in write.fields.items():
            body = meddled(body, Meddling(write.ref, path, value))
        if write.op is Op.ASSIGN:
            body = {**body_ids(write.ref), **unset(kind_of(write.ref)), **body}
        path, link = write_url_of(write.ref, write.fields), kind_of(write.ref).link
        self._call(
            "PUT" if link else METHODS[write.op],
            path,
            body if write.op is not Op.GENERATE else None,
        )

    def _call(self, method: str, path: str, body: Document | None) -> None:
        url = f"{self._shop.url}/v1{path}"
        HTTP.request(method, url, json=body, headers=self._headers).raise_for_status()

    def _delete(self, refs: Sequence[str], *words: str) -> None:
        """Delete *refs*; again where requests fail, which a busy machine may give up on."""
        stops = (0, ExitCode.PARTLY)
        tries = 3 if self._mode.faults else 1
        for _ in range(tries if refs else 0):
            result = self._ocsync("delete", *refs, *words, "--yes", "--json", stops=stops)
            if not result.code:
                return

    def _round(self, turns: Mapping[str, Round]) -> None:
        numbers = self._stage(turns)
        settled = {prefix: settle(self.models[prefix], turn) for prefix, turn in turns.items()}
        for turn in turns.values():
            for write in turn.writes:
                self._write(write)
        deletes = [ref for turn in turns.values() for ref in turn.deletes]
        self._delete(deletes)
        staged = {number for some in self._staged().values() for number in some}
        for prefix, found in settled.items():
            kept = {n for n, number in enumerate(numbers[prefix]) if number in staged}
            if wrong := kept ^ {*found.staged}:
                self._tell(prefix, f"wrongly dropped or kept: {found.records(wrong)}")
        meddling = [one for turn in turns.values() for one in turn.meddling]
        requests = 3 * sum(map(len, numbers.values())) + 20
        self._trouble.plan(meddling, self._chance, requests)
        left = {number for some in self._resume().values() for number in some}
        self._trouble.finish()
        for prefix, found in settled.items():
            early = {n for n in found.staged if numbers[prefix][n] in self._first}
            if not (self._mode.faults or deletes) and (wrong := early ^ {*found.hopeless}):
                self._tell(prefix, f"not settled by the first resume: {found.records(wrong)}")
            stays = {n for n in found.staged if numbers[prefix][n] in left}
            self._before[prefix] = found.before
            self.models[prefix] = self._carried_out(prefix, found, stays)
        self._compare()
        if left:
            self._ocsync("stage", "clear", "--yes")

    def _carried_out(self, prefix: str, found: Settled, stays: set[int]) -> Model:
        """Return the marketplace with the effect of what has left the journal."""
        if stays and not found.refused:
            self._tell(prefix, f"still staged: {found.records(stays)}")
        if wrong := {*found.hopeless} - stays:
            self._tell(prefix, f"refused, and not staged any more: {found.records(wrong)}")
        done = [found.edits[n] for n in found.staged if n not in stays]
        model = found.before.copy()
        taken = [attempt(model, entry) or is_there(model, entry) for entry in done]
        refs = {entry.ref for entry, is_taken in zip(done, taken, strict=True) if is_taken}
        # one that is refused may be folded with others of its ref that are not
        for write in in_some_order(model, [entry for entry in done if entry.ref not in refs]):
            self._tell(prefix, f"done, though it is refused: {write}")
        return model

    def _resume(self) -> dict[str, list[int]]:
        """Resume until nothing is staged or nothing more goes through; return what is staged.

        One lost answer leaves the sum of a product staged, whose reads may lag.
        """
        stops = (0, ExitCode.PARTLY, ExitCode.DIFFERS, ExitCode.CONFLICT)
        tries = PATIENCE if self._mode.faults else 1
        last: dict[str, list[int]] = {}
        staged = {"": [0]}
        self._runs = []
        same = 0
        while staged and same < tries:
            last = staged
            result = self._ocsync(*RESUME, stops=stops)
            self._summary = result.events[-1]
            for one in (self._summary["verified"] or {"findings": []})["findings"]:
                self._tell(prefix_of(one["ref"]), f"verify: {one}")
            staged = self._staged()
            same = same + 1 if staged == last else 0
            if not self._runs:
                self._first = {number for some in staged.values() for number in some}
            self._runs += [self._summary["run"]["id"]] if self._summary["run"] else []
            assert bool(staged) is (result.code in (ExitCode.PARTLY, ExitCode.CONFLICT)), result
            assert bool(staged) is bool(self._shop.all_paused()) or result.code, result
        return staged

    def _compare(self) -> None:
        """Hold the marketplace against what it has to be."""
        actual = {prefix: Model(OWNER) for prefix in self.models}
        for key, row in Model.read(OWNER, self._shop.state()).rows.items():
            actual[prefix_of(row.ref)].rows[key] = row
        for prefix, model in self.models.items():
            for ref, line in differences(model, actual[prefix]):
                self._tell(prefix, f"{ref} {line}")

    def _undo(self) -> None:
        """Undo the runs of the last round, the last one first, and delete what they created.

        All is as before then, but for what another writer has changed since and what says it stays.
        """
        others: set[str] = set()
        ends = {prefix: model.copy() for prefix, model in self.models.items()}
        for prefix, scenario in self._scenarios.items():
            was = self.models[prefix].copy()
            for write in scenario.after:
                self._write(write)
                write_to(self.models[prefix], write)
            others |= {ref for ref, _ in differences(was, self.models[prefix])}
        others |= {came.casefold() for ref in others for came in _coming_with(ref)}
        made: list[str] = []
        told: set[tuple[str, str]] = set()
        kept: set[str] = set()
        for run in reversed(self._runs):
            stops = (0, ExitCode.PARTLY, ExitCode.CONFLICT)
            found = self._ocsync("rollback", run, "--settle", "30s", "--json", stops=stops).data
            made += found["created"]
            told |= {(lost["ref"].casefold(), text.split()[0].partition(".")[0])
                     for lost in found["lost"] for text in lost["what"] if any(word in text for word in REMAINS)}  # fmt: skip
            kept |= {text.split()[0].casefold() for lost in found["lost"] for text in lost["what"]
                     if "may have been created with it" in text}  # fmt: skip
            for one in found["conflicts"]:
                if one["ref"].casefold() not in others:
                    self._tell(prefix_of(one["ref"]), f"its undo is a conflict: {one}")
            backs = [entry_of(one) for one in found["staged"]]
            others |= blocked_by(others, backs)
            self._take_back(backs, made, others)
        others |= self._unmake(made)
        for prefix, model in self.models.items():
            before = self._before[prefix]
            stays = irrevocable(before, ends[prefix])
            others |= children_of(others, before, model)
            slim = (without_inherited(before), without_inherited(model))
            summed = {  # their sum is another one by now
                ref
                for ref, _ in (*told, *differences(*slim, emptied))
                if any(one in others for m in (before, model) for one in records_below(ref, m))
            }
            for ref, line in differences(*slim, emptied):
                name = line.split()[0]
                stock = name == "Inventory" and ref in summed
                lost = stock or {(ref, name)} & told & stays
                if (
                    not lost
                    and ref not in kept
                    and ref not in others
                    and not ref.startswith(BESIDE)
                ):
                    self._tell(prefix, f"not undone: {ref} {line}")
            for ref, name in told - stays:
                mine = prefix_of(ref) == prefix and name in IRREVOCABLE
                if mine and ref not in others and ref not in summed:
                    self._tell(prefix, f"told as lost: {name} of {ref}")

    def _take_back(
        self, backs: Sequence[Entry], made: Sequence[str], others: Container[str]
    ) -> None:
        """Resume *backs*, which a rollback has staged; all go through, but for those of *others*.

        What was created may stand in its way, and it in the way of deleting that.
        """
        left = self._resume() if backs else {}
        self._follow(backs, left)
        if left:
            self._unmake(made)
            again = [entry for entry in backs if entry.ref in left]
            left = self._resume()
            self._follow(again, left)
        for ref in left:
            why = [one.get("message", "") for one in self._summary["problems"] if one["ref"] == ref]
            if ref.casefold() not in others:
                self._tell(prefix_of(ref), f"its undo is refused: {ref} {why}")
        if left:
            self._ocsync("stage", "clear", "--yes")

    def _follow(self, backs: Iterable[Entry], left: Container[str]) -> None:
        """Take over what of *backs* is not *left*, and compare."""
        done = [entry for entry in backs if entry.ref not in left]
        for prefix, model in self.models.items():
            mine = [entry for entry in done if prefix_of(entry.ref) == prefix]
            for write in in_some_order(model, mine):
                self._tell(prefix, f"undone, though it is refused: {write}")
        if done:
            self._compare()

    def _unmake(self, made: Sequence[str]) -> set[str]:
        """Delete what a run created, and compare; return what has to stay."""
        self._delete(made, "--no-count")
        stays: set[str] = set()
        for prefix, model in self.models.items():
            mine = [ref for ref in made if prefix_of(ref) == prefix]
            stays |= {str(ref).casefold() for ref in in_some_order(model, mine)}
        if made:
            self._compare()
        return stays


def prefix_of(ref: str) -> str:
    """Return the prefix of the scenario that *ref* belongs to."""
    return ref.split("/")[1].casefold().partition("-")[0] + "-"


def _coming_with(ref: str) -> list[str]:
    """Return what comes into being with *ref*, and stays with it."""
    return [] if ref.startswith("product-supplier/") else brought_by(ref)


def blocked_by(refs: Container[str], entries: Sequence[Entry]) -> set[str]:
    """Return the refs of *entries*, in lower case, that name one of *refs*, or another such ref.

    What they name may be gone, and what waits for them is not sent then.
    """
    found: set[str] = set()
    more = True
    while more:
        names = {
            entry.ref.casefold()
            for entry in entries
            for ref in named_in(entry.ref, entry.fields)
            if ref.casefold() in refs or ref.casefold() in found
        }
        more = names > found
        found |= names
    return found


def records_below(ref: str, model: Model) -> list[str]:
    """Return the inventory records, in lower case, whose sum the stock of *ref* is in *model*."""
    return [row.ref.casefold() for row in model.records_of(ref)]


def children_of(refs: Container[str], *models: Model) -> set[str]:
    """Return the refs, in lower case, of the products whose parent is one of *refs*."""
    rows = [row for model in models for row in model.of_kind("product")]
    return {
        row.ref.casefold()
        for row in rows
        if f"product/{row.document['ParentID']}".casefold() in refs
    }


def entry_of(shown: Document) -> Entry:
    """Return an entry as a command shows it."""
    more = {name: shown[name] for name in ("fields", "expect", "replace") if name in shown}
    return Entry(op=Op(shown["op"]), ref=shown["ref"], **more)


def emptied(document: Document) -> Document:
    """Return *document* without flags that are off and without inventory settings that are 0.

    The platform fills these in beside what a run writes, and no edit makes them null again. Nor
    does stock count that is the sum over variants.
    """
    inventory = dict(document.get("Inventory") or {})
    if inventory.get("VariantLevelTracking"):
        inventory.pop("QuantityAvailable", None)
    kept = {name: value for name, value in inventory.items() if value not in (False, 0)}
    slim = {**document, "Inventory": kept or False}
    return {name: value for name, value in slim.items() if value is not False}
