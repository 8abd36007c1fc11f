"""The `ocsync stage` commands: set, put, adjust, assign, generate, list, show, drop and clear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ocsync.cli import stage_files, stage_map
from ocsync.cli.context import Context
from ocsync.cli.options import LOCAL_EXITS, Yes, command
from ocsync.cli.stage_files import Recreated, new_stamp, show_staged_totals, staged_totals
from ocsync.errors import ExitCode, FileMissing, UsageError

if TYPE_CHECKING:
    from ocsync.models import Entry, Op

Ref = Annotated[str, typer.Argument(metavar="REF", help="kind/ID[/ID...], such as catalog/SUMMER.")]
Assignments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FIELD=VALUE...", help="FIELD=TEXT, read by the field's type, or FIELD:=JSON."
    ),
]
Expect = Annotated[
    list[str] | None,
    typer.Option(
        "--expect", metavar="FIELD=VALUE", help="Value the field must have right before the write."
    ),
]
ExpectCurrent = Annotated[
    bool,
    typer.Option(
        "--expect-current",
        help="Read the current value now, and expect it (with staged edits applied).",
    ),
]
_SHOWN_NUMBERS = 8
"""Most entry numbers that a line of `stage list` shows."""
_FILE_EXITS = (*LOCAL_EXITS, ExitCode.BAD_INPUT, ExitCode.NO_FILE)
_SET_EXITS = (*LOCAL_EXITS, ExitCode.BAD_INPUT, ExitCode.SIGN_IN, ExitCode.TRY_LATER)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        name="stage",
        help="Stage edits in the local journal; nothing is sent.",
        no_args_is_help=True,
    )
    app.add_typer(group, name="stage")

    @command(group, "set", exits=_SET_EXITS)
    def set_(
        ctx: Context,
        ref: Ref,
        fields: Assignments = None,
        expect: Expect = None,
        expect_current: ExpectCurrent = False,
        recreated: Recreated = False,
    ) -> None:
        """Stage new values for fields of an entity (PATCH).

        Fields that you do not name keep their values. FIELD=TEXT is read by the field's type;
        FIELD:=JSON takes any JSON value.

        Examples:
          ocsync stage set inventory/P1/R1 QuantityAvailable=40
          ocsync stage set product/P1 Active=true xp.bin:='{"row":4}'
          ocsync stage set inventory/P1/R1 QuantityAvailable=40 --expect QuantityAvailable=38
        """
        entry = _entry("set", ref, fields, expect)
        _stage(ctx, entry, expect_current=expect_current, recreated=recreated)

    @command(group, "put", exits=_SET_EXITS)
    def put(
        ctx: Context,
        ref: Ref,
        fields: Assignments = None,
        expect: Expect = None,
        expect_current: ExpectCurrent = False,
        replace: Annotated[
            bool, typer.Option("--replace", help="Replace the whole entity if it exists.")
        ] = False,
        recreated: Recreated = False,
    ) -> None:
        """Stage a new entity, or replace one with --replace (PUT).

        Without --replace an entity that exists already is a conflict.

        Examples:
          ocsync stage put catalog/SUMMER Name="Summer sale" Active=true
          ocsync stage put address/wh-9 Street1="Dock 9" City=Hamburg Country=DE --replace
        """
        entry = _entry("put", ref, fields, expect, replace=replace)
        _stage(ctx, entry, expect_current=expect_current, recreated=recreated)

    @command(group, "adjust", exits=_SET_EXITS)
    def adjust(
        ctx: Context,
        ref: Ref,
        fields: Assignments = None,
        expect: Expect = None,
        expect_current: ExpectCurrent = False,
        recreated: Recreated = False,
    ) -> None:
        """Stage an amount to add to a number.

        resume reads the number right before it writes the sum, so orders placed in the
        meantime are kept.

        Examples:
          ocsync stage adjust inventory/P1/R1 QuantityAvailable+=5
          ocsync stage adjust inventory/P1/R1 QuantityAvailable-=2
        """
        entry = _entry("adjust", ref, fields, expect)
        _stage(ctx, entry, expect_current=expect_current, recreated=recreated)

    @command(group, "assign", exits=_SET_EXITS)
    def assign(
        ctx: Context,
        ref: Ref,
        fields: Assignments = None,
        expect: Expect = None,
        recreated: Recreated = False,
    ) -> None:
        """Stage an assignment; it replaces an earlier one of the same IDs.

        Examples:
          ocsync stage assign catalog-assignment/SUMMER/BUYER1 ViewAllProducts=true
          ocsync stage assign catalog-product/SUMMER/P1
        """
        _stage(ctx, _entry("assign", ref, fields, expect), recreated=recreated)

    @command(group, "generate", exits=_SET_EXITS)
    def generate(
        ctx: Context,
        ref: Annotated[str, typer.Argument(metavar="REF", help="Product, such as product/SHIRT.")],
        overwrite: Annotated[
            bool,
            typer.Option("--overwrite", help="Reset existing variants, and drop invalid ones."),
        ] = False,
        recreated: Recreated = False,
    ) -> None:
        """Stage the generation of a product's variants from its specs.

        It is sent after the staged specs, options and assignments, and before edits of the
        product's variants.

        Examples:
          ocsync stage generate product/SHIRT
          ocsync stage generate product/SHIRT --overwrite
        """
        from ocsync.schema import ids_of, kind_of, make_ref, read_ref

        product = read_ref(ref)
        if kind_of(product).name not in ("product", "variants"):
            raise UsageError(f"{ref} is not a product; variants are generated for product/ID")
        words = [f"OverwriteExisting={str(overwrite).lower()}"]
        entry = _entry("generate", make_ref("variants", ids_of(product)), words, None)
        _stage(ctx, entry, recreated=recreated)

    stage_files.register(group)
    stage_map.register(group)

    @command(group, "list", exits=LOCAL_EXITS)
    def list_(
        ctx: Context,
        limit: Annotated[
            int, typer.Option("--limit", metavar="N", help="Number of refs to show (0 = all).")
        ] = 50,
    ) -> None:
        """List the staged refs with their edits.

        Shows for each ref how many edits it has, the last operation, and the numbers that
        stage drop takes.

        Examples:
          ocsync stage list
          ocsync stage list --limit 0 --json
        """
        from ocsync.render.text import columns, count, first_few
        from ocsync.schema import ref_key

        refs: dict[str, str] = {}
        seqs: dict[str, list[int]] = {}
        ops: dict[str, Op] = {}
        for entry in ctx.folder().journal.stream():
            key = ref_key(entry.ref)
            refs.setdefault(key, entry.ref)
            seqs.setdefault(key, []).append(entry.seq)
            ops[key] = entry.op
        totals = {"staged_entries": sum(map(len, seqs.values())), "staged_refs": len(refs)}
        facts = [{"ref": ref, "entries": seqs[key]} for key, ref in refs.items()]
        ctx.console.document("stage list", {**totals, "staged": facts})
        shown = list(refs)[: limit or None]
        rows = []
        for key in shown:
            numbers = first_few(list(map(str, seqs[key])), _SHOWN_NUMBERS)
            label = "entry" if len(seqs[key]) == 1 else "entries"
            rows.append((refs[key], len(seqs[key]), ops[key].value, f"{label} {numbers}"))
        if not ctx.console.json:
            ctx.console.print_lines(columns(rows, "<><<"))
        if len(refs) > len(shown):
            ctx.console.info(f"... and {count(len(refs) - len(shown), 'ref')} more (--limit 0)")
        if not refs:
            ctx.console.info("nothing is staged", "=")

    @command(group, "show", exits=_FILE_EXITS)
    def show(ctx: Context, ref: Ref) -> None:
        """Show the staged edits of a ref and the request they become.

        Examples:
          ocsync stage show inventory/P1/R1
        """
        from ocsync.engine.resume.drafting import draft_plan
        from ocsync.render.plan import explain
        from ocsync.store.timestamps import utc_now

        entries = ctx.folder().journal.of_refs([ref])
        if not entries:
            raise FileMissing(f"nothing is staged for {ref}", hint="ocsync stage list")
        import msgspec

        ctx.console.document("stage show", {"ref": ref, "entries": msgspec.to_builtins(entries)})
        by_number: dict[int, Entry] = {e.seq: e for e in entries}
        steps = draft_plan(entries).plan.steps
        if not ctx.console.json:
            ctx.console.print_lines(explain(steps, by_number, utc_now()))

    @command(group, "drop", exits=_FILE_EXITS)
    def drop(
        ctx: Context,
        refs: Annotated[
            list[str], typer.Argument(metavar="REF...", help="Refs, or numbers of edits.")
        ],
        yes: Yes = False,
    ) -> None:
        """Unstage edits: all of a ref, or single ones by number.

        Examples:
          ocsync stage drop inventory/P1/R1
          ocsync stage drop 17 18
        """
        from ocsync.render.text import count
        from ocsync.schema import ref_key

        ctx.yes = yes
        journal = ctx.folder().journal
        of_refs = journal.of_refs(refs)
        numbered = journal.with_numbers(int(word) for word in refs if word.isdecimal())
        known = {ref_key(e.ref) for e in of_refs} | {str(e.seq) for e in numbered}
        missing = [word for word in refs if ref_key(word) not in known]
        if missing:
            raise FileMissing(f"no staged entry {', '.join(missing)}", hint="ocsync stage list")
        number = journal.drop({e.seq for e in (*of_refs, *numbered)})
        ctx.console.document("stage drop", {"dropped": number})
        ctx.console.print(f"{count(number, 'entry')} dropped", "-")
        show_staged_totals(ctx, journal.totals())

    @command(group, "clear", exits=LOCAL_EXITS)
    def clear(ctx: Context, yes: Yes = False) -> None:
        """Unstage all edits.

        Examples:
          ocsync stage clear
          ocsync stage clear --yes
        """
        from ocsync.render.text import count

        ctx.yes = yes
        journal = ctx.folder().journal
        staged = journal.totals().entries
        if staged and not ctx.ask(
            f"Drop {'all ' if staged > 1 else ''}{count(staged, 'staged entry')}?"
        ):
            raise UsageError("nothing was dropped")
        number = journal.clear()
        ctx.console.document("stage clear", {"dropped": number})
        ctx.console.print(f"{count(number, 'entry')} dropped", "-")


def _entry(
    op: str,
    ref: str,
    fields: Sequence[str] | None,
    expect: Sequence[str] | None,
    *,
    replace: bool = False,
) -> Entry:
    from ocsync.intake import entry_from_arguments
    from ocsync.models import Op

    return entry_from_arguments(Op(op), ref, fields or (), expect=expect or (), replace=replace)


def _stage(
    ctx: Context, entry: Entry, *, expect_current: bool = False, recreated: bool = False
) -> None:
    import msgspec

    from ocsync.engine.staging import check_entry, clear_tombstones
    from ocsync.models import Op
    from ocsync.render.text import assignment_text

    folder = ctx.folder()
    journal = folder.journal
    exists = False
    if expect_current:
        exists, entry = _with_current(ctx, entry, journal.of_refs([entry.ref]))
    there = recreated or exists
    good = check_entry(folder, entry, recreated=there)
    [kept] = journal.append([msgspec.structs.replace(good, **new_stamp())])
    clear_tombstones(folder, [kept], recreated=there)
    totals = journal.totals()
    ctx.console.document(
        f"stage {kept.op.value}",
        {"entry": msgspec.to_builtins(kept), **staged_totals(totals)},
    )
    sign = "+=" if kept.op is Op.ADJUST else "="
    fields = "  ".join(assignment_text(path, value, sign) for path, value in kept.fields.items())
    ctx.console.print(f"{kept.seq}  {kept.op.value} {kept.ref}  {fields}".rstrip(), "+")
    if kept.expect:
        ctx.console.info(
            "  expects " + ", ".join(assignment_text(p, v) for p, v in kept.expect.items())
        )
    show_staged_totals(ctx, totals)


def _with_current(ctx: Context, entry: Entry, staged: Sequence[Entry]) -> tuple[bool, Entry]:
    """Return whether the entity exists, and *entry* with its current values expected.

    Where earlier staged edits change a value, the expected value is the changed one. Raises
    UsageError while an unfinished run writes the entity: its values are about to change.
    """
    import msgspec

    from ocsync.consolidate import expect_current
    from ocsync.diff import values_before
    from ocsync.models import Op
    from ocsync.render.text import field_value_text

    run = ctx.folder().runs.find_unfinished()
    if run and any(sealed.ref == entry.ref for sealed in run.entries()):
        text = f"the unfinished run {run.id} writes {entry.ref}; its current value is not final"
        raise UsageError(text, hint="ocsync resume, then stage the edit")
    document = _read_entity(ctx, entry.ref)
    if document is None and not any(e.ref == entry.ref and e.op is Op.PUT for e in staged):
        raise FileMissing(f"{entry.ref} does not exist, so it has no current value to expect")
    paths = [path for path in entry.fields if path not in entry.expect]
    current = {**dict.fromkeys(paths), **values_before(paths, document or {})}
    expected = expect_current(staged, entry, current)
    for path in paths:
        if expected[path] != current[path]:
            values = (current[path], expected[path])
            server, changed = (field_value_text(path, value) for value in values)
            ctx.console.info(f"  {path} is {server} on the server; staged edits make it {changed}")
    entry = msgspec.structs.replace(entry, expect={**expected, **entry.expect})
    return document is not None, entry


def _read_entity(ctx: Context, ref: str) -> dict[str, Any] | None:
    from ocsync.engine.session import Session, sign_in

    async def read(session: Session) -> dict[str, Any] | None:
        from ocsync.client import read_current
        from ocsync.errors import OcsyncError

        await sign_in(session)
        async for _, document in read_current(session.api, [ref]):
            if isinstance(document, OcsyncError):
                raise document
            return document
        return None

    return ctx.run_online(read)
