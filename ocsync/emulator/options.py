"""Options of an emulator: its address, its pace, and behaviours that OrderCloud leaves open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

MILLISECONDS = ("latency", "product_lag", "reference_lag", "delivery_delay", "pause_delay")
"""The options that are given in milliseconds, on the command line and to the running emulator."""


@dataclass(kw_only=True)
class EmulatorOptions:
    """The options of an emulator. Times are seconds, rates are per second, 0 means none.

    *port* 0 takes a free one. *products* is the size of a synthetic marketplace to begin with.
    *state* replaces seed and products at the start if the file exists, and is written as the
    marketplace changes.
    *deliver_to* names hosts beyond loopback that messages may be sent to.
    *rate* limits requests; *sales* sell one piece of a record each.
    *duplicates* N sends every Nth message twice. *product_lag* makes product lists stale after a
    write, as the search index is; with *lag_get* the GET of one product too. Before *reference_lag*
    has passed, writes cannot refer to a new object.

    *bulk* is what an upsert does to an item that exists, or whether there are bulk jobs at all;
    *inventory_feeds* says what a write of an inventory record sends beside its own message.

    The others are unknown behaviours of the platform (guide/ordercloud.md 2 to 7), each with all
    its possibilities; the first is the likeliest.
    """

    port: int = 0
    seed: Path | None = None
    products: int = 0
    state: Path | None = None
    faults: Path | None = None
    deliver_to: tuple[str, ...] = ()

    latency: float = 0.0
    rate: float = 0.0
    retry_after: Literal["given", "absent"] = "given"
    sales: float = 0.0
    token_lifetime: int = 36000
    refresh_lifetime: int = 0
    product_lag: float = 0.0
    lag_get: bool = False
    reference_lag: float = 0.0
    delivery_delay: float = 0.0
    duplicates: int = 0
    reorder: bool = False
    pause_delay: float = 0.0

    while_paused: Literal["queue", "drop"] = "queue"
    updated_after_delete: Literal["dropped", "sent"] = "dropped"
    sync_while_paused: Literal["deliver", "hold", "refuse"] = "deliver"
    no_op: Literal["deliver", "silent"] = "deliver"
    product_resync: Literal["own", "touched"] = "own"
    missing_config: Literal["404", "empty"] = "404"
    nested_xp: Literal["replace", "merge"] = "replace"
    xp_null: Literal["clears", "ignored"] = "clears"
    null_flags: Literal["refused", "false", "kept"] = "refused"
    xp_limit: Literal["characters", "bytes"] = "characters"
    put_password: Literal["kept", "cleared"] = "kept"  # noqa: S105
    inherited_catalog: Literal["null", "shown"] = "null"
    generate_without_options: Literal["refused", "one"] = "refused"
    own_seller: Literal["null", "id"] = "null"
    inventory_feeds: Literal["nothing", "products"] = "nothing"
    bulk: Literal["replace", "merge", "absent"] = "replace"
    omitted: Literal["false", "unchanged"] = "false"
    nested_targets: Literal["merge", "targets", "replace"] = "merge"
    kafka_type: Literal["type", "ce_type", "body"] = "type"
    page_keys: Literal["none", "given"] = "none"
