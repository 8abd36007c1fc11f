"""Rules across entries: what cannot be staged together with other entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from ocsync.errors import InputError, Problem
from ocsync.groups import in_groups
from ocsync.models import Entry
from ocsync.schema import RECORD_KINDS, SUMMED_QUANTITY, kind_names, kind_of

_SUM_FAULT = "is the sum of the product's inventory records, some of which are staged"
_RECORD_FAULT = f"cannot be staged with its product's {SUMMED_QUANTITY}, which is their sum"
_MOST_PROBLEMS = 1000


class StagingRule:
    """A rule for entries of some *kinds*: *problems* are with those that break it."""

    kinds: frozenset[str] = frozenset()
    hint = ""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def take(self, entry: Entry) -> None:
        """Take the next entry of one of *kinds*."""
        raise NotImplementedError

    def take_all(self, entries: Iterable[Entry]) -> None:
        """Take the next entries of *kinds*, in order."""
        for entry in entries:
            self.take(entry)

    def add_problem(self, entry: Entry, field: str, reason: str) -> None:
        """Add a problem with *field* of *entry*."""
        self.problems.append(Problem.of_entry(entry.source, field, entry.ref, reason))


def apply_rules(entries: Iterable[Entry], rules: Sequence[StagingRule]) -> Iterator[Entry]:
    """Yield *entries* unchanged. Raises InputError at the end if some break one of *rules*."""
    return chain.from_iterable(_checked(entries, rules))


def _checked(entries: Iterable[Entry], rules: Sequence[StagingRule]) -> Iterator[Sequence[Entry]]:
    for group in in_groups(entries):
        kinds = kind_names([entry.ref for entry in group])
        for rule in rules:
            if rule.kinds >= kinds:
                rule.take_all(group)
            elif rule.kinds & kinds:
                rule.take_all(e for e in group if kind_of(e.ref).name in rule.kinds)
        yield group
    for rule in rules:
        if rule.problems:
            raise InputError("nothing was staged", rule.problems[:_MOST_PROBLEMS], hint=rule.hint)


class SummedStock(StagingRule):
    """The rule that a product's stock and the records that it is the sum of are not both staged.

    Each entry is compared with those before it, and with the staged *products* and *records*; these
    may have others too, and neither is iterated before an entry makes it necessary.
    """

    kinds = frozenset({"product", *RECORD_KINDS})

    def __init__(self, products: Iterable[Entry], records: Iterable[Entry]) -> None:
        super().__init__()
        self._products, self._records = products, records
        self._with_quantity: set[str] = set()
        self._with_records: set[str] = set()
        self._without_conflict: dict[str, str] = {}

    def take_all(self, entries: Iterable[Entry]) -> None:
        """Take *entries*, in order."""
        known, with_quantity = self._without_conflict, self._with_quantity
        for entry in entries:
            product = known.get(entry.ref[: entry.ref.rfind("/")])
            if product is None or product in with_quantity:  # seldom in a file of records
                self.take(entry)

    def take(self, entry: Entry) -> None:
        """Take *entry*."""
        product = self._note(entry)
        is_record = entry.ref.partition("/")[0] in RECORD_KINDS
        if product not in self._with_quantity:
            for staged in self._products:
                self._note(staged)
            self._products = ()
            if product not in self._with_quantity:
                if is_record:
                    self._without_conflict[entry.ref[: entry.ref.rfind("/")]] = product
                return
        if product not in self._with_records:
            for staged in self._records:
                self._note(staged)
            self._records = ()
        if product in self._with_records:
            field, reason = ("ref", _RECORD_FAULT) if is_record else (SUMMED_QUANTITY, _SUM_FAULT)
            self.add_problem(entry, field, reason)

    def _note(self, entry: Entry) -> str:
        """Note what *entry* writes; return the ID of its product as a key, "" if it has none."""
        kind, _, ids = entry.ref.partition("/")
        is_record = kind in RECORD_KINDS
        if not is_record and kind != "product":
            return ""
        product = ids.partition("/")[0].casefold()
        if is_record:
            self._with_records.add(product)
        elif SUMMED_QUANTITY in entry.fields:
            self._with_quantity.add(product)
        return product
