"""Table of the types of delivery target that a delivery configuration may have
(guide/ordercloud.md 4.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ocsync.schema.kinds import Field, FieldType

# Rows are aligned as a table; the formatter would break them.
# fmt: off
_REQUIRED, _REQUIRED_SECRET = Field(FieldType.TEXT, required=True), Field(FieldType.TEXT, required=True, write_only=True)
_REQUIRED_SHORT_SECRET = _REQUIRED_SECRET._replace(max=50)
_SHORT_SECRET = Field(FieldType.TEXT, write_only=True, max=50)
_CONNECTION = {"ConnectionString": _REQUIRED_SECRET}

DELIVERY_CONFIG_FIELDS: dict[str, Field] = {"Name": Field(FieldType.TEXT, required=True, max=128), "Enabled": Field(FieldType.BOOLEAN, nullable=False), "DeliveryTargets": Field(FieldType.OBJECT, required=True)}

DELIVERY_TARGETS: dict[str, dict[str, Field]] = {
    "Http": {"Endpoint": _REQUIRED, "Secret": _REQUIRED_SHORT_SECRET, "CustomAuthHeaderName": Field(FieldType.TEXT), "CustomAuthHeaderValue": _SHORT_SECRET},
    "Kafka": {"BootstrapServers": _REQUIRED, "SaslUsername": _REQUIRED, "SaslPassword": _REQUIRED_SECRET, "Topic": _REQUIRED},
    "EventHub": {"EventHubName": _REQUIRED, **_CONNECTION},
    "AzureBlob": {**_CONNECTION, "OverrideContainerName": Field(FieldType.TEXT)},
    "AzureTable": {**_CONNECTION, "OverrideTableName": Field(FieldType.TEXT)},
    "CosmosDb": {**_CONNECTION, "OverrideDatabaseName": Field(FieldType.TEXT)},
    "MessageSender": {"Endpoint": _REQUIRED, "Secret": _REQUIRED_SHORT_SECRET},
    "SearchIngestion": {"Domain": _REQUIRED, "Source": _REQUIRED, "Endpoint": _REQUIRED, "Entity": _REQUIRED, "ApiKey": _REQUIRED_SECRET, "Content": Field(FieldType.OBJECT)},
    "SendEvent": {"SiteID": _REQUIRED, "ServiceEndpoint": _REQUIRED},
    "DiscoverEvent": {"ClientID": _REQUIRED, "ApiKey": _REQUIRED_SECRET, "ServiceEndpoint": _REQUIRED},
    "Mailchimp": {"ApiKey": _SHORT_SECRET},
    "ContentHub": {"ApiKey": _REQUIRED_SHORT_SECRET, "Endpoint": _REQUIRED, "TargetSchemaName": _REQUIRED, "ConfigData": Field(FieldType.OBJECT)},
}
# fmt: on

SECRET_FIELDS = frozenset(
    n for t in DELIVERY_TARGETS.values() for n, f in t.items() if f.write_only
)
"""Names of the fields that hold a secret in a delivery configuration, at any depth."""
EXCLUSIVE_TARGETS = ("SearchIngestion", "SendEvent", "DiscoverEvent", "Mailchimp", "ContentHub")
"""Types of which a configuration has at most one; all others can be combined
(guide/ordercloud.md 4.2).
"""
CUSTOM_HEADER_FIELDS = ("CustomAuthHeaderName", "CustomAuthHeaderValue")
"""Name and value of a header to send; the value needs the name, and GET hides it."""


def secrets_in(body: Any) -> Iterator[str]:
    """Yield the secrets in a delivery configuration's *body*: the values that GET does not show."""
    targets = body.get("DeliveryTargets") if isinstance(body, dict) else None
    for target_type, values in targets.items() if isinstance(targets, dict) else ():
        for name, value in values.items() if isinstance(values, dict) else ():
            field = DELIVERY_TARGETS.get(target_type, {}).get(name)
            if field and field.write_only and isinstance(value, str):
                yield value
