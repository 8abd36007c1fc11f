"""Kinds of the platform that the product's tables do not have, as rows of the same form.

`ALL_KINDS` has both. Facts are from guide/ordercloud.md 5.2.
"""

from __future__ import annotations

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
