"""The questions of the probe, as a table.

Each names the switch of the emulator that stands for the same behaviour. Why they are asked is in
guide/ordercloud.md 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Question(NamedTuple):
    """A question, the answers it may have (none for numbers), and the emulator's *switch*.

    *listens* says that it needs a listener's messages, *paced* that it loads the marketplace. A
    number is in *unit*. *effect* says what an answer changes, beside the switch.
    """

    name: str
    text: str
    values: tuple[str, ...] = ()
    switch: str = ""
    listens: bool = False
    paced: bool = False
    unit: str = "s"
    effect: str = ""


QUESTIONS: Mapping[str, Question] = {
    question.name: question
    for question in (
        Question(
            "api-description",
            "The API's own description, compared with ocsync's tables",
            ("same", "differs"),
            effect="doctor names the differences; ocsync follows its own tables",
        ),
        Question("duplicate-post", "POST of an ID that exists", ("409", "400", "other")),
        Question(
            "null-flag",
            "PATCH of a field that is true or false with null",
            ("refused", "false", "kept"),
            "null_flags",
        ),
        Question(
            "reference-lag",
            "Seconds until a write can refer to a new entity",
            switch="reference_lag",
        ),
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
            effect="plan says whether such a change also resends products",
        ),
        Question(
            "inventory-feeds",
            "Messages of a product whose inventory record changes",
            ("nothing", "products"),
            "inventory_feeds",
            listens=True,
        ),
        Question(
            "bulk-upsert",
            "A bulk upsert of an entity that exists",
            ("replace", "merge", "absent"),
            "bulk",
        ),
        Question("bulk-body", "The body of a bulk job", ("array", "items", "both", "absent")),
        Question(
            "bulk-visible",
            "Entities of a bulk job that has not ended",
            ("seen", "not seen", "absent"),
        ),
        Question(
            "bulk-repeat",
            "A bulk job that is resent",
            ("accepted", "refused", "absent"),
        ),
        Question(
            "bulk-messages",
            "Messages of a bulk job while products are paused",
            ("held", "sent", "none", "absent"),
            listens=True,
        ),
        Question(
            "bulk-limit",
            "Bulk jobs that are accepted at the same time",
            paced=True,
            unit="jobs",
        ),
        Question(
            "rate-limit",
            "Requests a second without a 429 (0: none seen)",
            switch="rate",
            paced=True,
            unit="requests/s",
            effect="--max-rate N keeps below it",
        ),
    )
}
"""The questions by name, in the order they are asked."""
