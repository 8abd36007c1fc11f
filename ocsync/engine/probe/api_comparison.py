"""The comparison of the platform's API description with ocsync's tables.

The description is OpenAPI 3, as `GET /v1/openapi/v3` returns it (guide/ordercloud.md 12.19). It has
much that ocsync does not use: only paths around those of the tables count as new.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ocsync.schema import (
    INTEGER_MAX,
    INTEGER_MIN,
    KINDS,
    TARGETS,
    Field,
    FieldType,
    Kind,
)

Document = Mapping[str, Any]
_DELIVERY_PATH = "/integrations/deliveryconfig"
_MAX_DEPTH = 10
"""Deepest chain of references that is followed; a description may have a circle."""
_PARAMETER = re.compile(r"\{[^}]*\}")
_TYPES = {
    FieldType.TEXT: "string",
    FieldType.DATE: "string",
    FieldType.INTEGER: "integer",
    FieldType.NUMBER: "number",
    FieldType.BOOLEAN: "boolean",
    FieldType.LIST: "array",
    FieldType.OBJECT: "object",
}
_REQUIRED_IN_SOME_COUNTRIES = ("State", "Zip")
_NEIGHBOURS = ("/integrations/entitysync", "/integrations/productsync")
"""Paths below which everything new counts, beside those below the paths of the kinds."""
NOT_USED = (
    "/bulk",
    "/buyers/{}/addresses",
    "/buyers/{}/apiclients",
    "/buyers/{}/approvalrules",
    "/buyers/{}/costcenters",
    "/buyers/{}/creditcards",
    "/buyers/{}/sellers",
    "/buyers/{}/spendingaccounts",
    "/buyers/{}/users/{}/accesstoken",
    "/buyers/{}/users/{}/moveto",
    "/priceschedules/{}/pricebreaks",
    "/products/{}/specs",
    "/suppliers/{}/apiclients",
    "/suppliers/{}/buyers",
)
"""Paths around those of the tables that ocsync knows and does not use, with all below them."""


class Request(NamedTuple):
    """A request that ocsync may send, and the roles of which each allows it."""

    verb: str
    path: str
    roles: tuple[str, ...]


def compare(description: Document) -> list[str]:
    """Return the differences between *description* and the tables, each in words.

    Raises ValueError when it is no description of an API.
    """
    paths = description.get("paths")
    if not isinstance(paths, dict) or not paths:
        raise ValueError("it names no paths")
    there = {_folded(path): operations for path, operations in paths.items()}
    api = _Api(description, there)
    differences = [*_requests_gone(api), *_paths_new(api)]
    for kind in KINDS.values():
        differences += _field_differences(api, kind)
    return differences


class _Api(NamedTuple):
    document: Document
    paths: dict[str, Document]

    def operation(self, verb: str, path: str) -> Document | None:
        """Return what the description says of *verb* at *path*, if it has that."""
        found = _object(self.paths.get(_folded(path))).get(verb.lower())
        return found if isinstance(found, dict) else None

    def resolved(self, schema: Any, depth: int = 0) -> dict[str, Any]:
        """Return *schema* with its reference, and those of which it consists, put in."""
        whole = dict(_object(schema))
        reference = str(whole.pop("$ref", ""))
        parts = _list(whole.pop("allOf", None))
        if reference:
            schemas = _object(_object(self.document.get("components")).get("schemas"))
            parts = [*parts, schemas.get(reference.rpartition("/")[2])]
        for one in parts if depth < _MAX_DEPTH else ():
            part = self.resolved(one, depth + 1)
            properties = {**_object(part.get("properties")), **_object(whole.get("properties"))}
            needed = [*_list(part.get("required")), *_list(whole.get("required"))]
            whole = {**part, **whole, "properties": properties, "required": needed}
        return whole


def _object(value: Any) -> dict[str, Any]:
    """Return *value*, or an empty object in place of anything else."""
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    """Return *value*, or an empty list in place of anything else."""
    return value if isinstance(value, list) else []


def _folded(path: str) -> str:
    return _PARAMETER.sub("{}", path.partition("?")[0]).casefold()


def _requests_of(kind: Kind) -> Iterator[Request]:
    """Yield the requests of *kind* that ocsync may send."""
    if kind.action:
        yield Request("POST", kind.path, kind.writers)
        return
    yield Request("GET", kind.collection, kind.readers)
    if kind.assignment:
        verb, path = ("PUT", kind.delete_path) if kind.link else ("POST", kind.path)
        yield Request(verb, path, kind.writers)
        yield Request("DELETE", kind.delete_path, kind.writers)
        return
    yield Request("GET", kind.path, kind.readers)
    yield Request("PATCH", kind.path, kind.writers)
    yield Request("PUT", kind.path, kind.writers)
    if kind.deletable:
        yield Request("DELETE", kind.path, kind.writers)


def _requests() -> dict[str, list[Request]]:
    """Return all requests of the tables, by the name of what they are about."""
    requests = {kind.name: [*_requests_of(kind)] for kind in KINDS.values()}
    for target in TARGETS.values():
        config = [
            Request(v, target.path, (target.role,)) for v in ("GET", "PUT", "PATCH", "DELETE")
        ]
        sync = Request("POST", target.sync_path, (target.role,))
        requests[f"{target.name} (target)"] = [*config, sync]
    role = ("DeliveryConfigAdmin",)
    one = [Request(verb, _DELIVERY_PATH + "/{ID}", role) for verb in ("GET", "PUT", "PATCH")]
    requests["delivery configurations"] = [Request("GET", _DELIVERY_PATH, role), *one]
    return requests


def _requests_gone(api: _Api) -> Iterator[str]:
    """Yield the requests that the description lacks, and those that need other roles."""
    for name, requests in _requests().items():
        gone = [one for one in requests if api.operation(one.verb, one.path) is None]
        if len(gone) == len(requests):
            yield f"{name}: all of it is missing ({_words(gone[0])}, ...)"
            continue
        for request in requests:
            operation = api.operation(request.verb, request.path)
            if operation is None:
                yield f"{name}: {_words(request)} is missing"
            else:
                yield from _role_differences(name, request, operation)


def _words(request: Request) -> str:
    return f"{request.verb} {request.path.partition('?')[0]}"


def _role_differences(name: str, request: Request, operation: Document) -> Iterator[str]:
    schemes = map(_object, _list(operation.get("security")))
    scopes = [str(scope) for scheme in schemes for scope in _list(scheme.get("OAuth2"))]
    allowed = set(scopes) - {"FullAccess"}
    if allowed and (lacking := set(request.roles) - allowed):
        roles, real = ", ".join(sorted(lacking)), ", ".join(sorted(allowed))
        yield f"{name}: {_words(request)} needs {real}; {roles} is not enough"


def _paths_new(api: _Api) -> Iterator[str]:
    """Yield the paths around those of the tables that they do not have."""
    known = {_folded(one.path) for requests in _requests().values() for one in requests}
    own = (path for kind in KINDS.values() for path in (kind.path, kind.collection))
    roots = {*map(_folded, own), *_NEIGHBOURS}
    for path in sorted(api.paths.keys() - known):
        if _is_below(path, roots) and not _is_below(path, NOT_USED):
            yield f"{path} is unknown to ocsync"


def _is_below(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith(root + "/") for root in roots)


def _field_differences(api: _Api, kind: Kind) -> Iterator[str]:
    """Yield what differs in the fields of *kind*."""
    if kind.action or kind.link:
        return
    verb, path = ("POST", kind.path) if kind.assignment else ("PUT", kind.path)
    operation = api.operation(verb, path)
    content = _object(_object((operation or {}).get("requestBody")).get("content"))
    schema = api.resolved(_object(content.get("application/json")).get("schema"))
    theirs = dict(_flat(api, kind, schema))
    if not theirs:
        return
    own_ids = {"ID", *kind.ids}
    for name in sorted(theirs.keys() - kind.fields.keys() - own_ids):
        yield f"{kind.name}: the field {name} is unknown to ocsync"
    needed = {str(name) for name in _list(schema.get("required"))}
    for name, field in kind.fields.items():
        if name not in theirs:
            yield f"{kind.name}: the field {name} is missing"
            continue
        required = name in needed and name not in _REQUIRED_IN_SOME_COUNTRIES
        for text in _facts(field, theirs[name], required=required):
            yield f"{kind.name}: {name} {text}"


def _flat(api: _Api, kind: Kind, schema: Document) -> Iterator[tuple[str, Document]]:
    """Yield the fields of a body's *schema* by their paths, those of nested models one by one."""
    for name, value in _object(schema.get("properties")).items():
        field = api.resolved(value)
        nested = field.get("properties")
        if name in kind.models and name != "xp" and nested:
            for member, inner in nested.items():
                yield f"{name}.{member}", api.resolved(inner)
        else:
            yield name, field


def _facts(field: Field, theirs: Document, *, required: bool) -> Iterator[str]:
    """Yield what differs between a *field* of the tables and that of the description."""
    type_ = theirs.get("type")
    if type_ and type_ != _TYPES[field.type]:
        yield f"has the type {type_}, not {_TYPES[field.type]}"
    if bool(theirs.get("readOnly")) is not field.read_only:
        yield "is written, not only read" if field.read_only else "can only be read"
    if required and not (field.required or field.required_on_assign):
        yield "is required"
    elif field.required and not required:
        yield "is not required"
    for name, ours in _limits(field).items():
        limit = theirs.get(name)
        if limit in (INTEGER_MIN, INTEGER_MAX):
            limit = None
        if limit is not None and limit != ours:
            yield f"has {name} {limit}, not {'none' if ours is None else ours}"


def _limits(field: Field) -> dict[str, int | None]:
    if field.type is FieldType.TEXT:
        return {"minLength": field.min, "maxLength": field.max}
    return {"minimum": field.min, "maximum": field.max}
