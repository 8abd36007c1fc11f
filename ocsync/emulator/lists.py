"""Lists: filters, order and pages (guide/ordercloud.md 6).

Filters on IDs, and the pages beyond page 30 by the last ID, are found by key; everything else
reads each row.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from ocsync.emulator.errors import ErrorResponse
from ocsync.emulator.kinds import DEFAULT_LIST, SEARCH_TYPES, ListFields
from ocsync.emulator.state import Document
from ocsync.schema import Field, FieldType

DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 20, 100
MAX_RESULTS = 100_000
"""The last position that a list can reach (`Search.ResultSetTooLarge`)."""
_RESERVED = {"page", "pagesize", "pagekey", "sortby", "search", "searchon", "depth"}
"""Parameters that are no filters. Only lists of categories have a depth, but Sitecore's seeding
tool sends one to every list.
"""
_OPERATORS = set("|!*<>")
Parameters = Mapping[str, list[str]]
_Row = TypeVar("_Row")


class ListQuery(NamedTuple):
    """A parsed list query: *filters* by field, *sort_by* as field and whether it is descending."""

    filters: list[tuple[str, str]]
    search: list[str]
    search_on: tuple[str, ...]
    search_type: str
    sort_by: list[tuple[str, bool]]
    page: int
    page_size: int
    after_id: str


def parse_query(
    parameters: Parameters,
    fields: Mapping[str, Field],
    accepted: ListFields = DEFAULT_LIST,
    own: frozenset[str] = frozenset(),
) -> ListQuery:
    """Return *parameters* as a ListQuery; *own* are the list's own, which are no filters.

    Raises a 400 for parameters that the list does not accept.
    """
    others = _RESERVED | {name.casefold() for name in own}
    filters = [(n, t) for n, texts in parameters.items() if n.casefold() not in others
               for t in texts]  # fmt: skip
    for name, text in filters:
        if "|" in name and not accepted.any_order:
            raise ErrorResponse(400, "List.InvalidProperty", f"{name}: this list takes one field")
        for field in name.split("|"):
            _check_filter(field, text, fields)
    sort_by = [(word.lstrip("!"), word.startswith("!")) for word in _words(parameters, "sortBy")]
    search_on = tuple(_words(parameters, "searchOn"))
    for name in (name for name, _ in sort_by):
        if not (name in accepted.sorted or (accepted.any_order and _is_property(name, fields))):
            text = f"this list is not sorted by {name}"
            raise ErrorResponse(400, "List.InvalidSortProperty", text)
    for name in search_on:
        if name not in accepted.searched:
            text = f"this list is not searched by {name}"
            raise ErrorResponse(400, "List.InvalidSearchProperty", text)
    search_type = _last(parameters, "searchType") or SEARCH_TYPES[0]
    if search_type not in SEARCH_TYPES:
        text = f"searchType is one of {', '.join(SEARCH_TYPES)}"
        raise ErrorResponse(400, "List.InvalidType", text)
    page = _number(parameters, "page", 1)
    size = _number(parameters, "pageSize", DEFAULT_PAGE_SIZE)
    if not 1 <= size <= MAX_PAGE_SIZE or page < 1:
        raise ErrorResponse(400, "List.InvalidPageSize", f"pageSize is 1 to {MAX_PAGE_SIZE}")
    if page * size > MAX_RESULTS:
        text = f"a list does not reach beyond {MAX_RESULTS:,} items"
        raise ErrorResponse(400, "Search.ResultSetTooLarge", text)
    after_id = ""
    if key := _last(parameters, "pageKey"):
        size, after_id = _parse_page_key(key)
    search = list(parameters.get("search", ()))
    search_on = search_on or accepted.searched
    return ListQuery(filters, search, search_on, search_type, sort_by, page, size, after_id)


def split_id_filter(query: ListQuery) -> tuple[list[str], ListQuery] | None:
    """Return the IDs that a filter lists one by one, and the query without it."""
    for name, text in query.filters:
        if name == "ID" and not _OPERATORS - {"|"} & set(text):
            rest = [condition for condition in query.filters if condition != (name, text)]
            return text.split("|"), query._replace(filters=rest)
    return None


def split_start(query: ListQuery) -> tuple[str, ListQuery] | None:
    """Return the ID after which a list ordered by ID begins, and the query without it."""
    if query.after_id:
        return query.after_id, query._replace(after_id="", sort_by=[])
    if query.sort_by != [("ID", False)]:
        return None
    for name, text in query.filters:
        if name == "ID" and text.startswith(">") and not _OPERATORS & set(text[1:]):
            rest = [condition for condition in query.filters if condition != (name, text)]
            return text[1:], query._replace(filters=rest, sort_by=[])
    return "", query._replace(sort_by=[])


def deciding_fields(query: ListQuery) -> set[str]:
    """Return the fields that decide which rows are on the page, and their order."""
    names = {field for name, _ in query.filters for field in name.split("|")}
    return names | {name for name, _ in query.sort_by} | set(query.search and query.search_on)


def matches(query: ListQuery, document: Document) -> bool:
    """Return whether *document* is in the list."""
    for name, text in query.filters:
        if not any(matches_filter(value_at(document, field), text) for field in name.split("|")):
            return False
    values = [_comparable_text(value_at(document, name)) for name in query.search_on]
    return all(_is_hit(query.search_type, text.casefold(), values) for text in query.search)


def _is_hit(search_type: str, phrase: str, values: Sequence[str]) -> bool:
    """Return whether a search for *phrase* finds a document with these *values*."""
    if search_type.startswith("ExactPhrase"):
        starts = search_type.endswith("Prefix")
        return any(v.startswith(phrase) if starts else phrase in v for v in values)
    terms = phrase.split()
    if search_type == "AllTermsSameField":
        return any(all(term in value for term in terms) for value in values)
    found = [any(term in value for value in values) for term in terms]
    return all(found) if search_type == "AllTermsAnyField" else not found or any(found)


def make_page(
    rows: Sequence[_Row],
    query: ListQuery,
    value_of: Callable[[_Row, str], Any],
    view: Callable[[_Row], Document],
    *,
    by_keys: bool = False,
) -> Document:
    """Return the page of *rows*, with its Meta; *view* is called for rows on it only.

    With *by_keys* the rows are ordered by ID, and the page has the key of the next one.
    """
    ordered = list(rows)
    for name, down in reversed(query.sort_by):
        ordered.sort(key=lambda row, n=name: _sort_key(value_of(row, n)), reverse=down)  # type: ignore[misc]
    start = (query.page - 1) * query.page_size
    items = [view(row) for row in ordered[start : start + query.page_size]]
    more = start + len(items) < len(ordered)
    key = _page_key(query.page_size, items[-1]["ID"]) if by_keys and more else None
    meta = {
        "Page": query.page,
        "PageSize": query.page_size,
        "TotalCount": len(ordered),
        "TotalPages": math.ceil(len(ordered) / query.page_size),
        "ItemRange": [start + 1, start + len(items)] if items else [1, 0],
        "NextPageKey": key,
    }
    return {"Meta": meta, "Items": items}


def filtered_page(
    documents: Sequence[Document],
    parameters: Parameters,
    fields: Mapping[str, Field],
    accepted: ListFields = DEFAULT_LIST,
) -> Document:
    """Return the page of *documents*, which are already in the form that is shown."""
    query = parse_query(parameters, fields, accepted)
    matching = [document for document in documents if matches(query, document)]
    return make_page(matching, query, value_at, lambda document: document)


def _page_key(size: int, last: str) -> str:
    return base64.urlsafe_b64encode(f"{size}:{last}".encode()).decode()


def _parse_page_key(key: str) -> tuple[int, str]:
    try:
        size, _, last = base64.urlsafe_b64decode(key).decode().partition(":")
        return int(size), last
    except ValueError:
        raise ErrorResponse(400, "Search.InvalidQuery", "this pageKey was never given") from None


def paging_parameters(parameters: Parameters) -> Parameters:
    """Return the parameters that every assignment list accepts."""
    own = ("page", "pagesize")
    return {name: texts for name, texts in parameters.items() if name.casefold() in own}


def _is_property(name: str, fields: Mapping[str, Field]) -> bool:
    top = name.partition(".")[0]
    if top in ("xp", "InventoryRecords"):
        return top == "InventoryRecords" or "xp" in fields
    return name == "ID" or name in fields or any(path.startswith(name + ".") for path in fields)


def _check_filter(name: str, text: str, fields: Mapping[str, Field]) -> None:
    if not _is_property(name, fields):
        raise ErrorResponse(400, "List.InvalidProperty", f"{name} is not a property of this list")
    field = fields.get(name)
    for part in text.split("|"):
        value = part.lstrip("!<>")
        if field is None or value in ("", "*"):
            continue
        flag = field.type is FieldType.BOOLEAN and value.casefold() not in ("true", "false")
        number = field.type in (FieldType.INTEGER, FieldType.NUMBER) and not _is_number(value)
        if flag or number:
            raise ErrorResponse(
                400, "List.InvalidType", f'{name}: "{value}" is not a {field.type.value}'
            )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _last(parameters: Parameters, name: str) -> str | None:
    return next((v[-1] for n, v in parameters.items() if n.casefold() == name.casefold()), None)


def _words(parameters: Parameters, name: str) -> list[str]:
    return [word for word in (_last(parameters, name) or "").split(",") if word]


def _number(parameters: Parameters, name: str, default: int) -> int:
    try:
        return int(_last(parameters, name) or default)
    except ValueError:
        raise ErrorResponse(400, "List.InvalidType", f"{name} is not a number") from None


def matches_filter(value: Any, expression: str) -> bool:
    """Return whether *value* matches a filter: `a|b`, `!a`, `*a*`, `>1`, `!<1`, `*` (not null).

    A list matches when one of its members does.
    """
    if isinstance(value, list):
        return any(matches_filter(member, expression) for member in value)
    return any(_matches_part(value, part) for part in expression.split("|"))


def _matches_part(value: Any, text: str) -> bool:
    if text.startswith("!"):
        return not _matches_part(value, text[1:])
    if text == "*":
        return value is not None
    if text[:1] in (">", "<"):
        own, other = _sort_key(value), _sort_key(_like(value, text[1:]))
        return value is not None and (own > other if text[0] == ">" else own < other)
    comparable, pattern = _comparable_text(value), _comparable_text(text)
    core = pattern.strip("*")
    if pattern.startswith("*") and pattern.endswith("*"):
        return core in comparable
    if pattern.startswith("*"):
        return comparable.endswith(core)
    return comparable.startswith(core) if pattern.endswith("*") else comparable == pattern


def _comparable_text(value: Any) -> str:
    return "" if value is None else str(value).casefold()


def _like(value: Any, text: str) -> Any:
    return float(text) if isinstance(value, int | float) and _is_number(text) else text


def _sort_key(value: Any) -> tuple[int, Any]:
    if isinstance(value, int | float):
        return (1, value)
    return (0, "") if value is None else (2, str(value).casefold())


def value_at(document: Any, path: str) -> Any:
    """Return the value at a dotted path, or None; for a list, the values of its members."""
    for part in path.split("."):
        if isinstance(document, list):
            document = [member.get(part) for member in document if isinstance(member, dict)]
        else:
            document = document.get(part) if isinstance(document, dict) else None
    return document
