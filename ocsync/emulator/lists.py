"""Lists: filters, order and pages (api-facts 6).

Filters on IDs, and the way past page 30 by the last ID, are answered from the keys; everything else
looks at each row.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from ocsync.emulator.errors import Refusal
from ocsync.emulator.state import Document
from ocsync.schema import Field, FieldType

DEFAULT_PAGE, MOST_PAGE = 20, 100
MOST_FOUND = 100_000
"""A list does not reach beyond so many (`Search.ResultSetTooLarge`)."""
_OWN = {"page", "pagesize", "pagekey", "sortby", "search", "searchon", "searchtype", "depth",
        "level", "includeaddress"}  # fmt: skip
_SEARCHED = ("ID", "Name", "Description", "Username", "FirstName", "LastName", "Email")
_SIGNS = set("|!*<>")
Query = Mapping[str, list[str]]
_Row = TypeVar("_Row")


class Wanted(NamedTuple):
    """What a query asks for: *filters* by field, *order* as field and whether it goes down."""

    filters: list[tuple[str, str]]
    search: list[str]
    search_on: tuple[str, ...]
    order: list[tuple[str, bool]]
    page: int
    size: int
    after: str


def read(query: Query, fields: Mapping[str, Field], also: frozenset[str] = frozenset()) -> Wanted:
    """*query* as what it asks for; *also* are parameters of the list that are no fields."""
    filters = [(n, t) for n, texts in query.items()
               if n.casefold() not in _OWN and n not in also for t in texts]  # fmt: skip
    for name, text in filters:
        for one in name.split("|"):
            _check_filter(one, text, fields)
    order = [(word.lstrip("!"), word.startswith("!")) for word in _words(query, "sortBy")]
    searched = _words(query, "searchOn")
    for names, code in (([n for n, _ in order], "Sort"), (searched, "Search")):
        for name in names:
            if not _known(name, fields):
                text = f"{name} is not a property of this list"
                raise Refusal(400, f"List.Invalid{code}Property", text)
    page, size = _number(query, "page", 1), _number(query, "pageSize", DEFAULT_PAGE)
    if not 1 <= size <= MOST_PAGE or page < 1:
        raise Refusal(400, "List.InvalidPageSize", f"pageSize is 1 to {MOST_PAGE}")
    if page * size > MOST_FOUND:
        text = f"a list does not reach beyond {MOST_FOUND:,} items"
        raise Refusal(400, "Search.ResultSetTooLarge", text)
    after = ""
    if key := _last(query, "pageKey"):
        size, after = _opened(key)
    search_on = tuple(searched) or _SEARCHED
    return Wanted(filters, list(query.get("search", ())), search_on, order, page, size, after)


def plain_ids(wanted: Wanted) -> tuple[list[str], Wanted] | None:
    """The IDs that a filter asks for one by one, and what is left to look for."""
    for name, text in wanted.filters:
        if name == "ID" and not _SIGNS - {"|"} & set(text):
            rest = [one for one in wanted.filters if one != (name, text)]
            return text.split("|"), wanted._replace(filters=rest)
    return None


def last_id(wanted: Wanted) -> tuple[str, Wanted] | None:
    """The ID after which a list in the order of IDs shall begin, and what is left to look for."""
    if wanted.after:
        return wanted.after, wanted._replace(after="", order=[])
    if wanted.order != [("ID", False)]:
        return None
    for name, text in wanted.filters:
        if name == "ID" and text.startswith(">") and not _SIGNS & set(text[1:]):
            rest = [one for one in wanted.filters if one != (name, text)]
            return text[1:], wanted._replace(filters=rest, order=[])
    return None


def needs_all(wanted: Wanted) -> set[str]:
    """The fields that decide which rows are on the page, and where."""
    names = {one for name, _ in wanted.filters for one in name.split("|")}
    return names | {name for name, _ in wanted.order} | set(wanted.search and wanted.search_on)


def fits(wanted: Wanted, document: Document) -> bool:
    """Whether *document* is in the list."""
    for name, text in wanted.filters:
        if not any(holds(value_at(document, one), text) for one in name.split("|")):
            return False
    for text in wanted.search:
        if not any(_text(text) in _text(value_at(document, name)) for name in wanted.search_on):
            return False
    return True


def page_of(
    rows: Sequence[_Row],
    wanted: Wanted,
    value: Callable[[_Row, str], Any],
    show: Callable[[_Row], Document],
    *,
    keys: bool = False,
) -> Document:
    """The page of *rows*, with its Meta; only what is on it is shown.

    With *keys* the rows are in the order of their IDs, and the page tells how to go on.
    """
    found = list(rows)
    for name, down in reversed(wanted.order):
        found.sort(key=lambda row, n=name: _order(value(row, n)), reverse=down)  # type: ignore[misc]
    start = (wanted.page - 1) * wanted.size
    items = [show(row) for row in found[start : start + wanted.size]]
    more = start + len(items) < len(found)
    key = _page_key(wanted.size, items[-1]["ID"]) if keys and more else None
    meta = {
        "Page": wanted.page,
        "PageSize": wanted.size,
        "TotalCount": len(found),
        "TotalPages": math.ceil(len(found) / wanted.size),
        "ItemRange": [start + 1, start + len(items)] if items else [1, 0],
        "NextPageKey": key,
    }
    return {"Meta": meta, "Items": items}


def plain_page(
    documents: Sequence[Document], query: Query, fields: Mapping[str, Field]
) -> Document:
    """The page of *documents* that are as they are shown."""
    wanted = read(query, fields)
    found = [one for one in documents if fits(wanted, one)]
    return page_of(found, wanted, value_at, lambda one: one)


def _page_key(size: int, last: str) -> str:
    return base64.urlsafe_b64encode(f"{size}:{last}".encode()).decode()


def _opened(key: str) -> tuple[int, str]:
    try:
        size, _, last = base64.urlsafe_b64decode(key).decode().partition(":")
        return int(size), last
    except ValueError:
        raise Refusal(400, "Search.InvalidQuery", "this pageKey was never given") from None


def paging(query: Query) -> Query:
    """What an assignment list takes beside its own parameters."""
    return {name: texts for name, texts in query.items() if name.casefold() in ("page", "pagesize")}


def _known(name: str, fields: Mapping[str, Field]) -> bool:
    top = name.partition(".")[0]
    if top in ("xp", "InventoryRecords"):
        return top == "InventoryRecords" or "xp" in fields
    return name == "ID" or name in fields or any(path.startswith(name + ".") for path in fields)


def _check_filter(name: str, text: str, fields: Mapping[str, Field]) -> None:
    if not _known(name, fields):
        raise Refusal(400, "List.InvalidProperty", f"{name} is not a property of this list")
    field = fields.get(name)
    for part in text.split("|"):
        value = part.lstrip("!<>")
        if field is None or value in ("", "*"):
            continue
        flag = field.type is FieldType.BOOLEAN and value.casefold() not in ("true", "false")
        number = field.type in (FieldType.INTEGER, FieldType.NUMBER) and not _is_number(value)
        if flag or number:
            raise Refusal(400, "List.InvalidType", f'{name}: "{value}" is not a {field.type.value}')


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _last(query: Query, name: str) -> str | None:
    return next((v[-1] for n, v in query.items() if n.casefold() == name.casefold()), None)


def _words(query: Query, name: str) -> list[str]:
    return [word for word in (_last(query, name) or "").split(",") if word]


def _number(query: Query, name: str, default: int) -> int:
    try:
        return int(_last(query, name) or default)
    except ValueError:
        raise Refusal(400, "List.InvalidType", f"{name} is not a number") from None


def holds(value: Any, expression: str) -> bool:
    """Whether *value* fits a filter: `a|b`, `!a`, `*a*`, `>1`, `!<1`, `*` (has one), `!*`.

    Of a list it is enough that one member does.
    """
    if isinstance(value, list):
        return any(holds(one, expression) for one in value)
    return any(_holds(value, part) for part in expression.split("|"))


def _holds(value: Any, text: str) -> bool:
    if text.startswith("!"):
        return not _holds(value, text[1:])
    if text == "*":
        return value is not None
    if text[:1] in (">", "<"):
        mine, other = _order(value), _order(_typed(value, text[1:]))
        return value is not None and (mine > other if text[0] == ">" else mine < other)
    mine_text, wanted = _text(value), _text(text)
    core = wanted.strip("*")
    if wanted.startswith("*") and wanted.endswith("*"):
        return core in mine_text
    if wanted.startswith("*"):
        return mine_text.endswith(core)
    return mine_text.startswith(core) if wanted.endswith("*") else mine_text == wanted


def _text(value: Any) -> str:
    return "" if value is None else str(value).casefold()


def _typed(value: Any, text: str) -> Any:
    return float(text) if isinstance(value, int | float) and _is_number(text) else text


def _order(value: Any) -> tuple[int, Any]:
    if isinstance(value, int | float):
        return (1, value)
    return (0, "") if value is None else (2, str(value).casefold())


def value_at(document: Any, path: str) -> Any:
    """The value at a dotted path, or None; of a list, its members' values."""
    for part in path.split("."):
        if isinstance(document, list):
            document = [one.get(part) for one in document if isinstance(one, dict)]
        else:
            document = document.get(part) if isinstance(document, dict) else None
    return document
