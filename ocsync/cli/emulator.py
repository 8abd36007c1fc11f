"""The `ocsync emulator` command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ocsync.cli.context import Context
from ocsync.cli.options import command
from ocsync.errors import ConfigError, ExitCode, UsageError

_EXITS = (ExitCode.DONE, ExitCode.USAGE, ExitCode.BAD_INPUT, ExitCode.NO_FILE, ExitCode.BAD_CONFIG)
_START_PANEL, _TROUBLE_PANEL, _UNKNOWN_PANEL = (
    "The marketplace",
    "Pace and trouble",
    "Undocumented behaviour",
)


def _option(panel: str, name: str, text: str, metavar: str | None = None, **more: Any) -> Any:
    """Return an option of *panel*; `ocsync.emulator.EmulatorOptions` describes its values."""
    return typer.Option(f"--{name}", help=text, metavar=metavar, rich_help_panel=panel, **more)


def register(app: typer.Typer) -> None:
    """Add the command."""

    # fmt: off
    @command(app, "emulator", exits=_EXITS)
    def emulator(
        ctx: Context,
        port: Annotated[int, _option(_START_PANEL, "port", "Port to listen on; 0 takes a free one.", "N", min=0, max=65535)] = 8765,
        seed: Annotated[Path | None, _option(_START_PANEL, "seed", "Start with the entities of a JSON or TOML file.", "FILE")] = None,
        products: Annotated[int, _option(_START_PANEL, "products", "Start with N products, 3 inventory records each.", "N", min=0)] = 0,
        state: Annotated[Path | None, _option(_START_PANEL, "state", "Keep the marketplace in FILE, and start from it.", "FILE")] = None,
        like: Annotated[str, _option(_START_PANEL, "like", "Behave as a probed marketplace does; other options override this.", "PROFILE|FILE")] = "",
        deliver_to: Annotated[list[str], _option(_START_PANEL, "deliver-to", "Also send messages to this host; loopback is always allowed.", "HOST")] = [],  # noqa: B006
        faults: Annotated[Path | None, _option(_TROUBLE_PANEL, "faults", "Apply the faults of a JSON list.", "FILE")] = None,
        latency: Annotated[float, _option(_TROUBLE_PANEL, "latency", "Delay each response.", "MS", min=0)] = 0.0,
        rate: Annotated[float, _option(_TROUBLE_PANEL, "rate", "Answer 429 to more requests per second than this (0 = never).", "N", min=0)] = 0.0,
        retry_after: Annotated[Literal["given", "absent"], _option(_TROUBLE_PANEL, "retry-after", "Send those 429 responses with Retry-After (given) or without it (absent).")] = "given",
        sales: Annotated[float, _option(_TROUBLE_PANEL, "sales", "Take this many pieces per second from inventory, as orders do.", "N", min=0)] = 0.0,
        token_lifetime: Annotated[int, _option(_TROUBLE_PANEL, "token-lifetime", "Lifetime of access tokens, in seconds.", "S", min=1)] = 36000,
        refresh_lifetime: Annotated[int, _option(_TROUBLE_PANEL, "refresh-lifetime", "Lifetime of refresh tokens, in seconds (0 = none).", "S", min=0)] = 0,
        product_lag: Annotated[float, _option(_TROUBLE_PANEL, "product-index-lag", "Show a write in lists of products only after this time.", "MS", min=0)] = 0.0,
        lag_get: Annotated[bool, _option(_TROUBLE_PANEL, "product-get-lags", "Apply that delay to the GET of one product too.")] = False,
        reference_lag: Annotated[float, _option(_TROUBLE_PANEL, "reference-lag", "Refuse references to a new entity for this time.", "MS", min=0)] = 0.0,
        delivery_delay: Annotated[float, _option(_TROUBLE_PANEL, "delivery-delay", "Send each message after this time.", "MS", min=0)] = 0.0,
        duplicates: Annotated[int, _option(_TROUBLE_PANEL, "duplicates", "Send every Nth message twice.", "N", min=0)] = 0,
        reorder: Annotated[bool, _option(_TROUBLE_PANEL, "reorder", "Send messages out of order.")] = False,
        pause_delay: Annotated[float, _option(_TROUBLE_PANEL, "pause-delay", "Apply a change of Paused after this time.", "MS", min=0)] = 0.0,
        while_paused: Annotated[Literal["queue", "drop"], _option(_UNKNOWN_PANEL, "while-paused", "A change made while its target is paused is sent at the unpause (queue) or never (drop).")] = "queue",
        updated_after_delete: Annotated[Literal["dropped", "sent"], _option(_UNKNOWN_PANEL, "updated-after-delete", "The update held for an entity that is then deleted is dropped, or sent at the unpause.")] = "dropped",
        sync_while_paused: Annotated[Literal["deliver", "hold", "refuse"], _option(_UNKNOWN_PANEL, "sync-while-paused", "A sync request for a paused target is sent immediately (deliver), held until the unpause (hold), or answered with an error (refuse).")] = "deliver",
        no_op: Annotated[Literal["deliver", "silent"], _option(_UNKNOWN_PANEL, "no-op", "A write that changes no value sends a message (deliver) or none (silent).")] = "deliver",
        product_resync: Annotated[Literal["own", "touched"], _option(_UNKNOWN_PANEL, "product-resync", "A product is sent only when it is written itself (own), or also when its catalogs, prices or other parts are (touched).")] = "own",
        missing_config: Annotated[Literal["404", "empty"], _option(_UNKNOWN_PANEL, "missing-config", "The GET of a sync config that does not exist returns 404 or an empty document.")] = "404",
        nested_xp: Annotated[Literal["replace", "merge"], _option(_UNKNOWN_PANEL, "nested-xp", "A PATCH of an object inside xp replaces it (replace) or merges its keys (merge).")] = "replace",
        xp_null: Annotated[Literal["clears", "ignored"], _option(_UNKNOWN_PANEL, "xp-null", "A PATCH of xp with null clears it or is ignored.")] = "clears",
        null_flags: Annotated[Literal["refused", "false", "kept"], _option(_UNKNOWN_PANEL, "null-flags", "A null for a field that is true or false is refused, becomes false, or is kept.")] = "refused",
        xp_limit: Annotated[Literal["characters", "bytes"], _option(_UNKNOWN_PANEL, "xp-limit", "The limit of 8,000 on xp counts characters or UTF-8 bytes.")] = "characters",
        put_password: Annotated[Literal["kept", "cleared"], _option(_UNKNOWN_PANEL, "put-password", "The password of a user is kept or cleared by a PUT without one.")] = "kept",
        inherited_catalog: Annotated[Literal["null", "shown"], _option(_UNKNOWN_PANEL, "inherited-catalog", "The DefaultCatalogID of a buyer that has none is null, or that of its buyer group is shown.")] = "null",
        generate_without_options: Annotated[Literal["refused", "one"], _option(_UNKNOWN_PANEL, "generate-without-options", "Generating variants of a product without spec options is refused or makes one.")] = "refused",
        own_seller: Annotated[Literal["null", "id"], _option(_UNKNOWN_PANEL, "own-seller", "The SellerID in the marketplace's own assignments is null or the marketplace's ID.")] = "null",
        inventory_feeds: Annotated[Literal["nothing", "products"], _option(_UNKNOWN_PANEL, "inventory-feeds", "The write of an inventory record sends only its own message (nothing), or one of its product too (products).")] = "nothing",
        bulk: Annotated[Literal["replace", "merge", "absent"], _option(_UNKNOWN_PANEL, "bulk", "A bulk upsert replaces an entity that exists (replace) or merges into it (merge); with absent there are no bulk jobs.")] = "replace",
        omitted: Annotated[Literal["false", "unchanged"], _option(_UNKNOWN_PANEL, "omitted", "A field left out of the POST of an assignment that exists becomes false or stays unchanged.")] = "false",
        nested_targets: Annotated[Literal["merge", "targets", "replace"], _option(_UNKNOWN_PANEL, "nested-targets", "A PATCH of delivery targets merges the fields of each (merge), replaces each that it names (targets), or replaces them all (replace).")] = "merge",
        kafka_type: Annotated[Literal["type", "ce_type", "body"], _option(_UNKNOWN_PANEL, "kafka-type", "A Kafka message has its namespace in the header type, in the header ce_type, or in its body.")] = "type",
        page_keys: Annotated[Literal["none", "given"], _option(_UNKNOWN_PANEL, "page-keys", "Lists of products have no NextPageKey (none), or have it (given).")] = "none",
    ) -> None:
        # fmt: on
        """Run a local OrderCloud for trials, rehearsals and tests.

        Listens on 127.0.0.1 only; client ID and secret are both "emulator".
        /_emulator/requests, /messages and /counts show what happened.

        Examples:
          ocsync emulator
          ocsync emulator --products 1000 --latency 50 --rate 100
          ocsync emulator --like acme-sandbox --state rehearsal.json
        """
        own = ("ctx", "app", "like")
        given = {name: value for name, value in locals().items() if name not in (*own, "own")}
        try:
            from ocsync.emulator import MILLISECONDS, EmulatorOptions, serve
        except ImportError as error:
            raise missing_extra() from error

        def ready(url: str) -> None:
            ctx.console.document("emulator", {"url": url})
            ctx.console.print(f"emulator at {url} (Ctrl-C ends it)", "▶")
            ctx.console.suggest(
                f"ocsync profile add local --api-url {url} --client-id emulator --secret-env VAR"
            )

        for name in MILLISECONDS:
            given[name] /= 1000
        for name, value in _switches_like(ctx, like).items():
            if given[name] == getattr(EmulatorOptions(), name):
                given[name] = value
        serve(EmulatorOptions(**{**given, "deliver_to": tuple(deliver_to)}), ready)


def _switches_like(ctx: Context, name: str) -> dict[str, Any]:
    """Return the options that stand for the answers of the profile or file *name*."""
    if not name:
        return {}
    from ocsync.engine.probe.answers import read_answers
    from ocsync.engine.probe.rehearsal import read_answer_file, switches

    if name in ctx.workspace.profile_names():
        folder = ctx.workspace.open_profile(name, warn=ctx.warn_once, command="ocsync emulator")
        answers = read_answers(folder)
        if not answers:
            raise UsageError(
                f"profile {name} has no probe results", hint=f"ocsync probe --profile {name}"
            )
    else:
        answers = read_answer_file(Path(name))
    found = switches(answers)
    shown = ", ".join(f"{option}={value}" for option, value in found.items())
    ctx.console.info(f"like {name}: {shown}", "=")
    return found


def missing_extra() -> ConfigError:
    """Return the error for missing libraries of the emulator."""
    text = "the emulator's libraries are not installed"
    return ConfigError(text, hint="pip install 'ocsync[emulator]'")
