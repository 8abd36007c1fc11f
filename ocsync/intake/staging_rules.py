"""Rules across entries: what cannot be staged together with other entries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ocsync.errors import InputError, Problem
from ocsync.models import Entry
from ocsync.schema import RECORD_KINDS, SUMMED_QUANTITY, ids_of

_SUM_FAULT = "is the sum of the product's records, and records of it are staged"
_RECORD_FAULT = f"cannot be staged beside its product's {SUMMED_QUANTITY}, which is their sum"


def check_against_staged(entries: Iterable[Entry], staged: Iterable[Entry]) -> Iterator[Entry]:
    """Yield *entries* unchanged, comparing each with those before it and with *staged*.

    Raises InputError at the end when one sets a product's stock whose records are staged too.
    """
    products = _SummedProducts()
    problems: list[Problem] = []
    for entry in staged:
        products.add(entry)
    for entry in entries:
        products.add(entry)
        if products.contradict(entry):
            is_record = entry.ref.partition("/")[0] in RECORD_KINDS
            field, reason = ("ref", _RECORD_FAULT) if is_record else (SUMMED_QUANTITY, _SUM_FAULT)
            problems.append(Problem.of_entry(entry.source, field, entry.ref, reason))
        yield entry
    if problems:
        raise InputError("nothing was staged", problems[:1000])


class _SummedProducts:
    """The IDs of products whose own quantity is staged, and of those whose records are."""

    def __init__(self) -> None:
        self._with_quantity: set[str] = set()
        self._with_records: set[str] = set()

    def add(self, entry: Entry) -> None:
        """Note the product whose quantity, or whose records, *entry* writes."""
        kind = entry.ref.partition("/")[0]
        if kind in RECORD_KINDS:
            self._with_records.add(_product_of(entry))
        elif kind == "product" and SUMMED_QUANTITY in entry.fields:
            self._with_quantity.add(_product_of(entry))

    def contradict(self, entry: Entry) -> bool:
        """Return whether *entry* is of a product that has both staged."""
        kind = entry.ref.partition("/")[0]
        if kind != "product" and kind not in RECORD_KINDS:
            return False
        product = _product_of(entry)
        return product in self._with_quantity and product in self._with_records


def _product_of(entry: Entry) -> str:
    """Return the ID of the product that *entry* is about, as a key."""
    return ids_of(entry.ref)["ProductID"].casefold()
