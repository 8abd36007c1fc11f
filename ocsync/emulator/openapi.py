"""The API description at `/v1/openapi/v3`, generated from the tables and the tree of paths.

It has the form of the platform's own (guide/ordercloud.md 12.19): roles are scopes of `OAuth2`,
required fields stand beside the schema of a body, and the filters of a list are one object.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from ocsync import __version__
from ocsync.emulator.bulk import MAX_ITEMS
from ocsync.emulator.documents import fields_by_model
from ocsync.emulator.endpoint import Endpoint
from ocsync.emulator.entities import LIST_PARAMETERS
from ocsync.emulator.kinds import (
    ALL_KINDS,
    DELIVERY_LIST,
    LIST_MEMBERS,
    ORDER_SYNC,
    SEARCH_TYPES,
    ListFields,
    list_fields,
    type_name,
)
from ocsync.emulator.lists import MAX_PAGE_SIZE
from ocsync.emulator.request import ApiRequest, ApiResponse
from ocsync.emulator.special_endpoints import ORDER_MOVES
from ocsync.emulator.state import Document
from ocsync.emulator.sync_configs import CONFIG_FIELDS, config_fields, config_name
from ocsync.schema import (
    DELIVERY_CONFIG_FIELDS,
    DELIVERY_TARGETS,
    ID_PATTERN,
    INTEGER_MAX,
    INTEGER_MIN,
    PRICE_BREAK,
    TARGETS,
    Field,
    FieldType,
    Kind,
    Target,
)

_SCHEMAS = "#/components/schemas/"
_LIST, _WHOLE, _PART = "list", "whole", "part"


class Operation(NamedTuple):
    """The form of a handler's requests and responses.

    *answer* is the name of a schema, `list`, or empty; without a name it is that of the endpoint's
    kind or target. A *body* has all fields that are required (`whole`), or any (`part`), or is the
    schema of that name. *query* are parameters beside those of the kind; *needed* are required.
    """

    status: int = 200
    answer: str | None = None
    body: str = ""
    kind: str = ""
    query: Mapping[str, Document] = {}
    needed: tuple[str, ...] = ()


_FLAG: Document = {"type": "boolean"}
_COUNT: Document = {"type": "integer", "format": "int32"}
_ID: Document = {"type": "string", "pattern": f"^{ID_PATTERN.pattern}$"}
_SHIFT = {"adjustListOrders": _FLAG}

OPERATIONS: dict[str, Operation] = {
    "Entities.list_rows": Operation(answer=_LIST),
    "Entities.get": Operation(),
    "Entities.post": Operation(201, body=_WHOLE),
    "Entities.put": Operation(body=_WHOLE),
    "Entities.patch": Operation(body=_PART),
    "Entities.delete": Operation(204, ""),
    "Assignments.list_rows": Operation(answer=_LIST),
    "Assignments.assign": Operation(204, "", _WHOLE),
    "Assignments.unassign": Operation(204, ""),
    "Assignments.link": Operation(204, ""),
    "Assignments.list_links": Operation(answer=_LIST),
    "SyncConfigs.get": Operation(),
    "SyncConfigs.put": Operation(body=_WHOLE),
    "SyncConfigs.patch": Operation(body=_PART),
    "SyncConfigs.delete": Operation(204, ""),
    "SyncConfigs.request_sync": Operation(204, "", "Sync"),
    "DeliveryConfigs.list_all": Operation(answer=_LIST),
    "DeliveryConfigs.get": Operation(answer="DeliveryConfig"),
    "DeliveryConfigs.post": Operation(201, "DeliveryConfig", _WHOLE),
    "DeliveryConfigs.put": Operation(200, "DeliveryConfig", _WHOLE),
    "DeliveryConfigs.patch": Operation(200, "DeliveryConfig", _PART),
    "DeliveryConfigs.delete": Operation(204, ""),
    "SpecialEndpoints.me": Operation(answer="User", kind="buyer-user"),
    "SpecialEndpoints.list_buyer_users": Operation(answer=_LIST, kind="buyer-user"),
    "SpecialEndpoints.move_user": Operation(
        201,
        "User",
        query={"orders": {"type": "string", "enum": [*ORDER_MOVES]}},
        needed=("orders",),
    ),
    "SpecialEndpoints.list_sellers": Operation(answer=_LIST, kind="supplier"),
    "SpecialEndpoints.list_specs": Operation(answer=_LIST, kind="spec"),
    "SpecialEndpoints.generate_variants": Operation(
        201, "Product", query={"overwriteExisting": _FLAG}
    ),
    "SpecialEndpoints.save_price_break": Operation(201, "PriceSchedule", "PriceBreak"),
    "SpecialEndpoints.delete_price_break": Operation(
        204, "", query={"quantity": _COUNT}, needed=("quantity",)
    ),
    "BulkJobs.submit": Operation(202, "BulkJob", "BulkItems"),
    "BulkJobs.get": Operation(answer="BulkJob"),
    "BulkJobs.list_errors": Operation(answer="BulkErrors"),
    "ApiDescription.get": Operation(answer="Document"),
}
"""The operation of each handler, by its name."""


class HasEndpoints(Protocol):
    """Something that knows all endpoints, such as the tree of paths."""

    def endpoints(self) -> Iterable[Endpoint]:
        """Return them."""


class ApiDescription:
    """The handler of the description of all endpoints of *tree*."""

    def __init__(self, tree: HasEndpoints) -> None:
        self._tree = tree

    def get(self, _: ApiRequest) -> ApiResponse:
        """Handle a GET of the description."""
        return ApiResponse(200, describe(self._tree.endpoints()))


def describe(endpoints: Iterable[Endpoint]) -> Document:
    """Return the description of *endpoints*, as OpenAPI 3."""
    paths: dict[str, Document] = {}
    for endpoint in endpoints:
        path = paths.setdefault(_camel_path(endpoint.path), {})
        path[endpoint.verb.lower()] = _described(endpoint)
    flow = {"tokenUrl": "/oauth/token", "scopes": {}}
    scheme = {"type": "oauth2", "flows": {"clientCredentials": flow}}
    return {
        "openapi": "3.0.0",
        "info": {"title": "OrderCloud as ocsync emulates it", "version": __version__},
        "servers": [{"url": "/v1"}],
        "components": {
            "securitySchemes": {"OAuth2": scheme},
            "schemas": dict(sorted(_schemas())),
        },
        "paths": dict(sorted(paths.items())),
    }


def camel(name: str) -> str:
    """Return the name of a parameter as the platform spells it, as in `catalogID`."""
    return name[:1].lower() + name[1:]


def _camel_path(path: str) -> str:
    parts = (f"{{{camel(p[1:-1])}}}" if p.startswith("{") else p for p in path.split("/"))
    return "/".join(parts)


def _described(endpoint: Endpoint) -> Document:
    operation = OPERATIONS[endpoint.handler_name]
    answer: Document = {"description": "done"}
    if schema := _answer(endpoint, operation):
        answer["content"] = _json(schema)
    refused = {"description": "refused", "content": _json(_reference("Errors"))}
    described: Document = {
        "tags": [endpoint.path.split("/")[1]],
        "parameters": [*_parameters(endpoint, operation)],
        "responses": {str(operation.status): answer, "default": refused},
    }
    if body := _body(endpoint, operation):
        described["requestBody"] = {"required": True, "content": _json(body)}
    if not endpoint.public:
        roles = ["FullAccess", *endpoint.roles] if endpoint.roles else []
        described["security"] = [{"OAuth2": roles}]
    return described


def _json(schema: Document) -> Document:
    return {"application/json": {"schema": schema}}


def _reference(name: str) -> Document:
    return {"$ref": _SCHEMAS + name}


def _schema_name(endpoint: Endpoint, operation: Operation) -> str:
    """Return the name of the schema of what an endpoint is about."""
    subject = ALL_KINDS.get(operation.kind, endpoint.subject)
    if isinstance(subject, Kind):
        return type_name(subject)
    return "DeliveryConfig" if subject is None else config_name(subject)


def _answer(endpoint: Endpoint, operation: Operation) -> Document | None:
    if operation.answer == "":
        return None
    if operation.answer != _LIST:
        return _reference(operation.answer or _schema_name(endpoint, operation))
    items = {"type": "array", "items": _reference(_listed_name(endpoint, operation))}
    return {"type": "object", "properties": {"Items": items, "Meta": _reference("Meta")}}


def _listed_name(endpoint: Endpoint, operation: Operation) -> str:
    """Return the name of what is listed: of a link the entity at its other end."""
    subject = endpoint.subject
    if isinstance(subject, Kind) and subject.link:
        return type_name(_linked(subject))
    return _schema_name(endpoint, operation)


def _linked(kind: Kind) -> Kind:
    """Return the kind of entity that a list of links shows."""
    return ALL_KINDS[next(r.kind for r in kind.references if r.ids == kind.ids[-1:])]


def _body(endpoint: Endpoint, operation: Operation) -> Document | None:
    subject = endpoint.subject
    if operation.body == "Sync" and isinstance(subject, Target):
        ids = dict.fromkeys(subject.sync_ids, _ID)
        return {"type": "object", "properties": ids, "required": [*subject.sync_ids]}
    if operation.body not in (_WHOLE, _PART):
        return _reference(operation.body) if operation.body else None
    reference = _reference(_schema_name(endpoint, operation))
    needed = [*_needed(endpoint)] if operation.body == _WHOLE else []
    return {"allOf": [reference], "required": needed} if needed else reference


def _needed(endpoint: Endpoint) -> Iterator[str]:
    """Yield the fields that the body of a PUT or POST must have."""
    subject = endpoint.subject
    if isinstance(subject, Target):
        yield from ("DeliveryConfigID", *subject.flags)
    elif subject is None:
        yield from (name for name, field in DELIVERY_CONFIG_FIELDS.items() if field.required)
    else:
        if subject.assignment:
            yield from (n for n in subject.needed_ids if n not in endpoint.parameters)
        yield from (n for n, f in subject.fields.items() if f.required and "." not in n)


def _parameters(endpoint: Endpoint, operation: Operation) -> Iterator[Document]:
    for name in endpoint.parameters:
        yield {"name": camel(name), "in": "path", "required": True, "schema": _ID}
    own = {**operation.query, **_own_query(endpoint)}
    if operation.answer == _LIST:
        own |= _list_query(endpoint, operation)
    for name, schema in own.items():
        found = {"name": name, "in": "query", "required": name in operation.needed}
        yield {**found, **({"explode": False} if schema.get("type") == "array" else {}),
               "schema": schema}  # fmt: skip


def _own_query(endpoint: Endpoint) -> Document:
    """Return the parameters, with their schemas, that only some kinds have."""
    kind = endpoint.subject
    if not isinstance(kind, Kind):
        return {}
    if endpoint.handler_name == "Assignments.unassign":
        names = [one.partition("=")[0] for one in kind.delete_path.partition("?")[2].split("&")]
        return dict.fromkeys(filter(None, names), _ID)
    if endpoint.handler_name == "Assignments.link":
        return dict.fromkeys(kind.query, _ID)
    shifts = endpoint.handler_name in ("Entities.post", "Entities.put", "Entities.patch")
    return _SHIFT if shifts and kind.name == "category" else {}


def _list_query(endpoint: Endpoint, operation: Operation) -> Document:
    pages = {
        "page": {**_COUNT, "minimum": 1, "maximum": 1000},
        "pageSize": {**_COUNT, "minimum": 1, "maximum": MAX_PAGE_SIZE},
    }
    kind = ALL_KINDS.get(operation.kind, endpoint.subject)
    if isinstance(kind, Kind) and kind.assignment and not kind.link:
        own = dict.fromkeys(kind.listed_by, _ID)
        if "UserGroupID" in kind.ids:
            own["level"] = {"type": "string", "enum": ["Group", "Company"]}
        if "PriceScheduleID" in kind.fields:
            own["priceScheduleID"] = _ID
        return {**own, **pages}
    accepted, fields, own = DELIVERY_LIST, DELIVERY_CONFIG_FIELDS, {}
    if isinstance(kind, Kind):
        kind = _linked(kind) if kind.link else kind
        accepted, fields = list_fields(kind), dict(kind.fields)
        if endpoint.handler_name == "Entities.list_rows":
            names = frozenset[str]().union(*LIST_PARAMETERS.get(kind.name, {}))
            own = {name: _LIST_SCHEMAS.get(name, _ID) for name in sorted(names)}
    return {**own, **_search_query(accepted), **pages, "filters": _filters(fields)}


_LIST_SCHEMAS: dict[str, Document] = {
    "depth": {"type": "string", "pattern": "^([1-9][0-9]?|all)$"},
    "includeAddress": _FLAG,
    "searchType": {"type": "string", "enum": [*SEARCH_TYPES]},
}


def _search_query(accepted: ListFields) -> Document:
    orders = [*accepted.sorted, *(f"!{name}" for name in accepted.sorted)]
    return {
        "search": {"type": "string"},
        "searchOn": {"type": "array", "items": {"type": "string", "enum": [*accepted.searched]}},
        "sortBy": {"type": "array", "items": {"type": "string", "enum": orders}},
    }


def _filters(fields: Mapping[str, Field]) -> Document:
    """Return the schema of the filters, each of which is a parameter of its own."""
    texts = {
        name: {"type": "string"}
        for name, field in fields.items()
        if field.type in (FieldType.TEXT, FieldType.DATE) and "." not in name
    }
    return {
        "type": "object",
        "properties": {"ID": {"type": "string"}, **texts},
        "additionalProperties": False,
    }


def _schemas() -> Iterator[tuple[str, Document]]:
    for kind in ALL_KINDS.values():
        if not kind.action:
            yield type_name(kind), _kind_schema(kind)
    for target in (*TARGETS.values(), ORDER_SYNC):
        yield config_name(target), _object({n: CONFIG_FIELDS[n] for n in config_fields(target)})
    targets = {name: _nullable(_object(fields)) for name, fields in DELIVERY_TARGETS.items()}
    delivery = _object(DELIVERY_CONFIG_FIELDS)
    delivery["properties"] |= {
        "ID": _ID,
        "DeliveryTargets": {"type": "object", "properties": targets},
    }
    yield "DeliveryConfig", delivery
    yield "PriceBreak", _object(PRICE_BREAK, required=True)
    yield "Document", {"type": "object"}
    yield "Meta", {"type": "object", "properties": dict.fromkeys(("Page", "PageSize"), _COUNT)}
    yield "BulkJob", {"type": "object", "properties": {"JobID": {"type": "string"}}}
    items = {"type": "array", "items": {"type": "object"}, "minItems": 1, "maxItems": MAX_ITEMS}
    yield "BulkItems", items
    yield "BulkErrors", {"type": "array", "items": {"type": "object"}}
    error = {"type": "object", "required": ["ErrorCode", "Message"]}
    errors = {"type": "array", "items": error, "minItems": 1}
    yield "Errors", {"type": "object", "properties": {"Errors": errors}, "required": ["Errors"]}


def _kind_schema(kind: Kind) -> Document:
    models = fields_by_model(kind)
    schema = _object(models[""])
    ids: Iterable[str] = ("ID",)
    if kind.assignment:
        ids = (name for name in kind.ids if "{" + name not in kind.path)
    needed = kind.needed_ids if kind.assignment else ("ID",)
    properties = {n: _ID if n in needed else _nullable(_ID) for n in ids}
    for name, members in LIST_MEMBERS.get(kind.name, {}).items():
        schema["properties"][name]["items"] = _object(members, required=True)
    nested = {name: _nullable(_object(fields)) for name, fields in models.items() if name}
    return {**schema, "properties": {**properties, **schema["properties"], **nested}}


def _object(fields: Mapping[str, Field], *, required: bool = False) -> Document:
    """Return the schema of an object with *fields*, and those that must be in it if *required*."""
    schema: Document = {
        "type": "object",
        "properties": {name: _field_schema(field) for name, field in fields.items()},
    }
    needed = [name for name, field in fields.items() if field.required]
    return {**schema, "required": needed} if required else schema


_FIELD_TYPES: dict[FieldType, Document] = {
    FieldType.TEXT: {"type": "string"},
    FieldType.DATE: {"type": "string", "format": "date-time"},
    FieldType.INTEGER: {**_COUNT, "minimum": INTEGER_MIN, "maximum": INTEGER_MAX},
    FieldType.NUMBER: {"type": "number", "format": "float"},
    FieldType.BOOLEAN: _FLAG,
    FieldType.LIST: {"type": "array", "items": {}},
    FieldType.OBJECT: {"type": "object"},
}


def _field_schema(field: Field) -> Document:
    schema = dict(_FIELD_TYPES[field.type])
    lowest, highest = ("minLength", "maxLength")
    if field.type is not FieldType.TEXT:
        lowest, highest = ("minimum", "maximum")
    facts: dict[str, Any] = {
        lowest: field.min,
        highest: field.max,
        "default": field.default,
        "enum": [*field.choices] or None,
        "readOnly": field.read_only or None,
        "writeOnly": field.write_only or None,
    }
    schema |= {name: fact for name, fact in facts.items() if fact is not None}
    return schema if field.required or not field.nullable else _nullable(schema)


def _nullable(schema: Document) -> Document:
    return {**schema, "nullable": True}
