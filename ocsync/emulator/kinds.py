"""Kinds of the platform that the product's tables do not have, as rows of the same form.

`ALL_KINDS` has both. Facts are from guide/ordercloud.md 5.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ocsync.schema import KINDS, Field, FieldType, Kind, Reference, Target

_NAME = Field(FieldType.TEXT, required=True, max=100)
_LIST = Field(FieldType.LIST)


# Rows are aligned as a table; the formatter would break them.
# fmt: off
_MORE_KINDS = (
    Kind("buyer-address", "buyer address", ("BuyerID", "AddressID"), "/buyers/{BuyerID}/addresses/{AddressID}", KINDS["address"].fields,
         role_prefix="Address", references=(Reference("buyer", ("BuyerID",)),)),
    Kind("security-profile", "security profile", ("SecurityProfileID",), "/securityprofiles/{SecurityProfileID}",
         {"Name": _NAME, "Roles": _LIST, "CustomRoles": _LIST}, role_prefix="SecurityProfile"),
    Kind("supplier-buyer", "supplier buyer", ("SupplierID", "BuyerID"), "/suppliers/{SupplierID}/buyers", {},
         role_prefix="Supplier", assignment=True, link=True, references=(Reference("supplier", ("SupplierID",)), Reference("buyer", ("BuyerID",))),
         delete_path="/suppliers/{SupplierID}/buyers/{BuyerID}"),
)
# fmt: on

ALL_KINDS: dict[str, Kind] = {**KINDS, **{kind.name: kind for kind in _MORE_KINDS}}

LIST_MEMBERS: dict[str, dict[str, Mapping[str, Field]]] = {
    kind.name: members
    for kind in KINDS.values()
    if (members := {name: f.members for name, f in kind.fields.items() if f.members})
}
"""The fields of the objects in a list, by kind and field."""


class ListFields(NamedTuple):
    """The fields that `searchOn` and `sortBy` of a list may name; a search looks at the former.

    With *any_order* a list can also be sorted by every other property, and one filter can name
    several fields: such lists come from the search index (guide/ordercloud.md 6).
    """

    searched: tuple[str, ...]
    sorted: tuple[str, ...]
    any_order: bool = False


def _list(searched: str, sorted_by: str, *, any_order: bool = False) -> ListFields:
    return ListFields(tuple(searched.split()), tuple(sorted_by.split()), any_order)


_USER_LIST = _list(
    "ID Username LastName FirstName Email",
    "LastName FirstName Username ID Email DateCreated PasswordLastSetDate",
)
_GROUP_LIST = _list("ID Name Description", "Name ID")
_ADDRESS_LIST = _list(
    "ID AddressName CompanyName City Street1 Street2 LastName FirstName State Zip",
    "AddressName ID DateCreated CompanyName FirstName LastName Street1 Street2 City State Zip"
    " Country Phone",
)
_RECORD_LIST = _list("ID AddressID", "ID AddressID")
_ORGANIZATION_LIST = _list("Name ID", "ID Name DateCreated")

DEFAULT_LIST = _list("ID Name Description", "ID Name")
"""The fields of lists of which no public description says more."""
DELIVERY_LIST = _list("ID Name", "ID Name")
LISTS: dict[str, ListFields] = {
    **dict.fromkeys(("address", "supplier-address", "buyer-address"), _ADDRESS_LIST),
    **dict.fromkeys(("buyer-user", "supplier-user", "admin-user"), _USER_LIST),
    **dict.fromkeys(("usergroup", "supplier-usergroup", "admin-usergroup"), _GROUP_LIST),
    **dict.fromkeys(("inventory", "variant-inventory"), _RECORD_LIST),
    **dict.fromkeys(("buyer", "supplier"), _ORGANIZATION_LIST),
    "catalog": _list("ID Name Description", "OwnerID Name ID"),
    "locale": _list("ID Currency", "ID"),
    "price-schedule": _list("ID Name ApplyTax Currency", "Name ID OwnerID"),
    "product": _list("ID Name Description", "OwnerID Name ID", any_order=True),
    "security-profile": _list("ID Name", "ID Name"),
    "spec": _list("Name ID", "ListOrder Name ID"),
    "spec-option": _list("Value ID", "ListOrder ID"),
}
"""The fields of each kind's list; from guide/ordercloud.md 12.26."""
SEARCH_TYPES = (
    "AnyTerm", "AllTermsAnyField", "AllTermsSameField", "ExactPhrase", "ExactPhrasePrefix",
)  # fmt: skip
"""The values of `searchType`, which only the list of products has; the first is the default."""


def list_fields(kind: Kind) -> ListFields:
    """Return the fields by which the list of *kind* is searched and sorted."""
    return LISTS.get(kind.name, DEFAULT_LIST)


ORDER_SYNC = Target(
    "orders", "order", "/integrations/OrderSync", "", (), "", "", "", "",
    role="OrderSyncConfigAdmin", flags=(),
)  # fmt: skip
"""Order sync: a configuration without `Paused`, flags or sync requests
(guide/ordercloud.md 3.2).
"""

_TYPE_NAMES = {
    "inventory": "InventoryRecord",
    "variant-inventory": "InventoryRecord",
    "usergroup": "UserGroup",
    "buyer-user": "User",
    "supplier-user": "User",
    "admin-user": "User",
}


def type_name(kind: Kind) -> str:
    """Return the platform's name of *kind*, as in `Data.ObjectType`."""
    return _TYPE_NAMES.get(kind.name) or kind.noun.title().replace(" ", "")
