"""Spreadsheets as a test wants them, made by hand: values, and cells as raw XML."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from typing import Any

_SPREAD = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
ERROR = '<c t="e"><f>1/0</f><v>#DIV/0!</v></c>'
FORMULA = "<c><f>A1+1</f><v></v></c>"
WORKED_OUT = "<c><f>A1+1</f><v>41</v></c>"
DATE = '<c s="1"><v>46024</v></c>'
FLAG = '<c t="b"><v>1</v></c>'
_STYLES = (
    f'<styleSheet xmlns="{_SPREAD}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/>'
    "</cellXfs></styleSheet>"
)


def workbook(
    *sheets: Sequence[Sequence[Any]],
    hidden: int = 0,
    hidden_rows: Sequence[int] = (),
    hidden_columns: tuple[int, int] | None = None,
    extra: str = "",
) -> bytes:
    """Sheets named s1, s2...; text that begins with `<c` is a cell's XML, None leaves one out.

    *hidden* is the number of one that is not shown; *hidden_rows* of every sheet are not, nor are
    the columns from and to *hidden_columns*. *extra* follows the first sheet's data.
    """
    columns = ""
    if hidden_columns:
        columns = '<cols><col min="{}" max="{}" width="0"/></cols>'.format(*hidden_columns)

    def row(number: int, cells: Sequence[Any]) -> str:
        attribute = ' hidden="1"' if number in hidden_rows else ""
        return f"<row{attribute}>{''.join(map(_cell, cells))}</row>"

    numbers = range(1, len(sheets) + 1)
    parts = {
        "_rels/.rels": _relations([("r1", "officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": f'<workbook xmlns="{_SPREAD}" xmlns:r="{_OFFICE}"><sheets>'
        + "".join(
            f'<sheet name="s{n}" sheetId="{n}" r:id="r{n}"{_hidden(n == hidden)}/>' for n in numbers
        )
        + "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": _relations(
            [*((f"r{n}", "worksheet", f"worksheets/{n}.xml") for n in numbers),
             ("r99", "styles", "styles.xml")]
        ),
        "xl/styles.xml": _STYLES,
        **{
            f"xl/worksheets/{n}.xml": f'<worksheet xmlns="{_SPREAD}">{columns}<sheetData>'
            + "".join(row(number, cells) for number, cells in enumerate(rows, 1))
            + f"</sheetData>{extra if n == 1 else ''}</worksheet>"
            for n, rows in enumerate(sheets, 1)
        },
    }  # fmt: skip
    return zipped(parts)


def _hidden(is_hidden: bool) -> str:
    return ' state="hidden"' if is_hidden else ""


def _relations(rows: list[tuple[str, str, str]]) -> str:
    inner = "".join(
        f'<Relationship Id="{key}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for key, kind, target in rows
    )
    return f'<Relationships xmlns="{_PACKAGE}">{inner}</Relationships>'


def _cell(value: Any) -> str:
    if isinstance(value, int | float):
        return f"<c><v>{value}</v></c>"
    if value is None or str(value).startswith("<c"):
        return value or "<c/>"
    return f'<c t="inlineStr"><is><t>{value}</t></is></c>'


def ods(*rows: str, name: str = "s1") -> bytes:
    """An OpenDocument sheet of rows as raw XML."""
    spaces = " ".join(
        f'xmlns:{n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for n in ("office", "table", "text")
    ) + ' xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"'  # fmt: skip
    content = (
        f"<office:document-content {spaces}><office:body><office:spreadsheet>"
        f'<table:table table:name="{name}">{"".join(rows)}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    return zipped({
        "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
        "content.xml": content,
        "META-INF/manifest.xml": "<manifest:manifest xmlns:manifest="
        '"urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
    })  # fmt: skip


def zipped(parts: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return out.getvalue()
