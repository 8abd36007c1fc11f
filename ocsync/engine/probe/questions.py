"""The questions of the probe, as a table.

Each names the switch of the emulator that stands for the same behaviour. Why they are asked is in
guide/ordercloud.md 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Question(NamedTuple):
    """A question, the answers it may have (none for seconds), and the emulator's *switch*.

    *listens* says that it needs a listener's messages.
    """

    name: str
    text: str
    values: tuple[str, ...] = ()
    switch: str = ""
    listens: bool = False


QUESTIONS: Mapping[str, Question] = {
    question.name: question
    for question in (
        Question(
            "missing-config",
            "GET of a sync configuration that does not exist",
            ("404", "empty"),
            "missing_config",
        ),
        Question("pause-delay", "Seconds until a PATCH of Paused shows", switch="pause_delay"),
        Question(
            "nested-xp", "PATCH of a key inside an xp object", ("replace", "merge"), "nested_xp"
        ),
        Question("xp-arrays", "PATCH of an array in xp", ("replace", "merge")),
        Question("xp-null", "PATCH of xp with null", ("clears", "ignored"), "xp_null"),
        Question(
            "omitted", "Fields left out of an assignment's POST", ("false", "unchanged"), "omitted"
        ),
        Question(
            "nested-targets",
            "PATCH of delivery targets",
            ("merge", "targets", "replace"),
            "nested_targets",
        ),
        Question("id-case", "Upper and lower case of IDs in paths", ("ignored", "counts")),
        Question("filter-case", "Upper and lower case in filters", ("ignored", "counts")),
        Question(
            "product-list-lag",
            "Seconds until a list shows a product's change",
            switch="product_lag",
        ),
        Question("product-get-lag", "Seconds until a GET shows a product's change"),
        Question("page-keys", "NextPageKey in product lists", ("none", "given"), "page_keys"),
        Question(
            "while-paused",
            "Changes of one entity while its target is paused",
            ("queue", "drop"),
            "while_paused",
            listens=True,
        ),
        Question(
            "no-op", "A write that changes nothing", ("deliver", "silent"), "no_op", listens=True
        ),
        Question(
            "updated-after-delete",
            "The held message of an entity that was then deleted",
            ("dropped", "sent"),
            "updated_after_delete",
            listens=True,
        ),
        Question(
            "sync-while-paused",
            "A sync request while its target is paused",
            ("deliver", "hold", "refuse"),
            "sync_while_paused",
            listens=True,
        ),
        Question(
            "product-resync",
            "Products of a catalog that changes",
            ("own", "touched"),
            "product_resync",
            listens=True,
        ),
    )
}
"""The questions by name, in the order they are asked."""
