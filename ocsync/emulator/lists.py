"""Lists: filters, order and pages (api-facts 6)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ocsync.emulator.errors import Refusal
from ocsync.emulator.state import Document

DEFAULT_PAGE, MOST_PAGE = 20, 100
_OWN = {"page", "pagesize", "sortby", "search", "searchon", "searchtype", "depth", "level"}
_SEARCHED = ["ID", "Name", "Description", "Username"]
Query = Mapping[str, list[str]]


def page_of(documents: Iterable[Document], query: Query) -> Document:
    """The page that *query* asks for, with its Meta."""
    filters = [(n, t) for n, texts in query.items() if n.casefold() not in _OWN for t in texts]
    found = [d for d in documents if all(holds(value_at(d, n), t) for n, t in filters)]
    for text in query.get("search", ()):
        names = _words(query, "searchOn") or _SEARCHED
        found = [d for d in found if any(_text(text) in _text(value_at(d, n)) for n in names)]
    for name in reversed(_words(query, "sortBy")):
        path = name.lstrip("!")
        found.sort(key=lambda d, p=path: _order(value_at(d, p)), reverse=name != path)  # type: ignore[misc]
    page, size = _number(query, "page", 1), _number(query, "pageSize", DEFAULT_PAGE)
    if not 1 <= size <= MOST_PAGE or page < 1:
        raise Refusal(400, "List.InvalidPageSize", f"pageSize is 1 to {MOST_PAGE}")
    start = (page - 1) * size
    items = found[start : start + size]
    meta = {
        "Page": page,
        "PageSize": size,
        "TotalCount": len(found),
        "TotalPages": math.ceil(len(found) / size),
        "ItemRange": [start + 1, start + len(items)] if items else [1, 0],
        "NextPageKey": None,
    }
    return {"Meta": meta, "Items": items}


def _words(query: Query, name: str) -> list[str]:
    return [word for text in query.get(name, ()) for word in text.split(",") if word]


def _number(query: Query, name: str, default: int) -> int:
    try:
        return int(query.get(name, [str(default)])[-1])
    except ValueError:
        raise Refusal(400, "List.InvalidType", f"{name} is not a number") from None


def holds(value: Any, expression: str) -> bool:
    """Whether *value* fits a filter: `a|b`, `!a`, `*a*`, `>1`, `!<1`, `*` (has one), `!*`."""
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
    if isinstance(value, int | float):
        try:
            return float(text)
        except ValueError:
            return text
    return text


def _order(value: Any) -> tuple[int, Any]:
    if isinstance(value, int | float):
        return (1, value)
    return (0, "") if value is None else (2, str(value).casefold())


def value_at(document: Any, path: str) -> Any:
    """The value at a dotted path, or None."""
    for part in path.split("."):
        document = document.get(part) if isinstance(document, dict) else None
    return document
