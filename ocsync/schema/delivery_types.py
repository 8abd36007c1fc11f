"""The types of delivery target that a delivery configuration may have (api-facts 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ocsync.schema.kinds import Field, Type

# Rows are aligned as a table; the formatter would break them.
# fmt: off
_MUST, _SECRET = Field(Type.TEXT, required=True), Field(Type.TEXT, required=True, write_only=True)
_SHORT = _SECRET._replace(max=50)
_HIDDEN = Field(Type.TEXT, write_only=True, max=50)
_CONNECTION = {"ConnectionString": _SECRET}

DELIVERY_CONFIG: dict[str, Field] = {"Name": Field(Type.TEXT, required=True, max=128), "Enabled": Field(Type.FLAG), "DeliveryTargets": Field(Type.XP, required=True)}

DELIVERY_TARGETS: dict[str, dict[str, Field]] = {
    "Http": {"Endpoint": _MUST, "Secret": _SHORT, "CustomAuthHeaderName": Field(Type.TEXT), "CustomAuthHeaderValue": _HIDDEN},
    "Kafka": {"BootstrapServers": _MUST, "SaslUsername": _MUST, "SaslPassword": _SECRET, "Topic": _MUST},
    "EventHub": {"EventHubName": _MUST, **_CONNECTION},
    "AzureBlob": {**_CONNECTION, "OverrideContainerName": Field(Type.TEXT)},
    "AzureTable": {**_CONNECTION, "OverrideTableName": Field(Type.TEXT)},
    "CosmosDb": {**_CONNECTION, "OverrideDatabaseName": Field(Type.TEXT)},
    "MessageSender": {"Endpoint": _MUST, "Secret": _SHORT},
    "SearchIngestion": {"Domain": _MUST, "Source": _MUST, "Endpoint": _MUST, "Entity": _MUST, "ApiKey": _SECRET, "Content": Field(Type.XP)},
    "SendEvent": {"SiteID": _MUST, "ServiceEndpoint": _MUST},
    "DiscoverEvent": {"ClientID": _MUST, "ApiKey": _SECRET, "ServiceEndpoint": _MUST},
    "Mailchimp": {"ApiKey": _HIDDEN},
    "ContentHub": {"ApiKey": _SHORT, "Endpoint": _MUST, "TargetSchemaName": _MUST, "ConfigData": Field(Type.XP)},
}
# fmt: on

SECRET_FIELDS = frozenset(
    n for t in DELIVERY_TARGETS.values() for n, f in t.items() if f.write_only
)
"""The names that hide a secret in a delivery configuration, at whatever depth (`Content.Http`)."""
INTEGRATIONS = ("SearchIngestion", "SendEvent", "DiscoverEvent", "Mailchimp", "ContentHub")
"""Of these a configuration has one at most; the other targets are free to combine (api-facts 4.2)."""
CUSTOM_HEADER = ("CustomAuthHeaderName", "CustomAuthHeaderValue")
"""A header that is sent along; one goes with the other only, and the second is hidden."""


def secrets_in(body: Any) -> Iterator[str]:
    """The secrets in a delivery configuration's *body*: the values that GET would not show."""
    targets = body.get("DeliveryTargets") if isinstance(body, dict) else None
    for slot, values in targets.items() if isinstance(targets, dict) else ():
        for name, value in values.items() if isinstance(values, dict) else ():
            field = DELIVERY_TARGETS.get(slot, {}).get(name)
            if field and field.write_only and isinstance(value, str):
                yield value
