"""Options that tell what the columns of another program's file are, and where mappings are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from ocsync.cli.context import Context
from ocsync.errors import FileMissing, UsageError

if TYPE_CHECKING:
    from ocsync.intake.mapping import FileMapping

PANEL = "Files of other programs"
FOLDER = "mappings"
"""The folder of the workspace that has the mappings which are named alone."""


def _option(*names: str, **more: Any) -> Any:
    return typer.Option(*names, rich_help_panel=PANEL, **more)


Map = Annotated[
    str, _option("--map", metavar="MAPPING", help="Mapping: a .toml file, or one of the workspace.")
]
Columns = Annotated[
    list[str] | None,
    _option("--column", metavar="FIELD=HEADER", help="Column of the file that holds a field."),
]
Constants = Annotated[
    list[str] | None,
    _option("--const", metavar="FIELD=VALUE", help="Field with the same value in every row."),
]
Ignored = Annotated[
    list[str] | None,
    _option("--ignore", metavar="HEADER", help="Column to leave out; * for all except fields."),
]
HeaderRow = Annotated[
    int,
    _option(
        "--header-row",
        metavar="N",
        min=0,
        help="Line, or sheet row, of the header (0 = the first).",
    ),
]
Delimiter = Annotated[
    str, _option("--delimiter", metavar="CHARACTER", help="Separator of cells, such as ;")
]
Encoding = Annotated[
    str, _option("--encoding", metavar="NAME", help="Encoding of the file, such as cp1252.")
]
DecimalMark = Annotated[str, _option("--decimal", metavar="CHARACTER", help="Decimal sign: . or ,")]
Thousands = Annotated[
    str, _option("--thousands", metavar="CHARACTER", help="Sign between thousands.")
]
DateForm = Annotated[
    str, _option("--date", metavar="FORMAT", help="How dates are written, such as %d.%m.%Y.")
]


class MappingOptions(NamedTuple):
    """The values of these options."""

    name: str = ""
    columns: Sequence[str] = ()
    constants: Sequence[str] = ()
    ignore: Sequence[str] = ()
    header_row: int = 0
    delimiter: str = ""
    encoding: str = ""
    decimal: str = ""
    thousands: str = ""
    date: str = ""

    def mapping(self, ctx: Context) -> FileMapping | None:
        """Return the mapping that the options describe; None where none is given."""
        if self == MappingOptions():
            return None
        from ocsync.intake.mapping import FileMapping, Rule, check_mapping, merged

        base = read_mapping(ctx, self.name) if self.name else FileMapping()
        columns: dict[str, Any] = dict(_pair("--column", text) for text in self.columns)
        constants = (_pair("--const", text) for text in self.constants)
        columns |= {field: Rule(const=value) for field, value in constants}
        mapping = merged(
            base,
            columns=columns,
            ignore=list(self.ignore),
            header_row=self.header_row,
            delimiter={"\\t": "\t", "tab": "\t"}.get(self.delimiter, self.delimiter),
            encoding=self.encoding,
            decimal=self.decimal,
            thousands=self.thousands,
            date=self.date,
        )
        check_mapping(self.name or "options", mapping)
        return mapping


def read_mapping(ctx: Context, name: str) -> FileMapping:
    """Return the mapping in the file *name*, or of that name in the workspace.

    Raises FileMissing with the names that there are, InputError.
    """
    from ocsync.intake.mapping import parse_mapping
    from ocsync.suggestions import listed

    path = mapping_path(ctx, name)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        names = sorted(one.stem for one in (ctx.workspace.root / FOLDER).glob("*.toml"))
        hint = f"the workspace has {listed(names)}" if names else "to create one: ocsync stage map"
        raise FileMissing(f"no mapping {path}", hint=hint) from error
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise FileMissing(f"{path}: {reason}") from error
    return parse_mapping(path.name, text)


def mapping_path(ctx: Context, name: str) -> Path:
    """Return the path of the mapping *name*: a file, or of that name in the workspace.

    Raises ConfigError for a link in the workspace, which may come from somebody else.
    """
    from ocsync.store.files import check_file

    if "/" in name or name.endswith(".toml") or Path(name).suffix:
        return Path(name)
    path = ctx.workspace.root / FOLDER / f"{name}.toml"
    check_file(path)
    return path


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise UsageError(f'{option}: "{text}" has no =', hint=f"{option} FIELD=TEXT")
    return name.strip(), value
