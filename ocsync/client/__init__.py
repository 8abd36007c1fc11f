"""The HTTP client. Neither httpx's types nor its errors leave this package.

The stack, outermost first, as `open_client` alone puts it together:

    Api                the calls and their typed errors
    OrderCloudAuth     a token for each request, renewed before it expires and once after a 401
    RetryTransport     repeats of attempts, where a repeat is safe; a waiting retry holds no slot
    ThrottleTransport  a slot for each attempt, from one pacer that all workers share
    AiohttpTransport   one round trip

Names are loaded on first use, as the stack takes long to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ocsync.lazy_names import importer

if TYPE_CHECKING:
    from ocsync.client.api import Api as Api
    from ocsync.client.api import Identity as Identity
    from ocsync.client.api import Page as Page
    from ocsync.client.api import Reply as Reply
    from ocsync.client.batch_reads import list_key as list_key
    from ocsync.client.batch_reads import read_current as read_current
    from ocsync.client.batch_reads import ref_of as ref_of
    from ocsync.client.factory import Connection as Connection
    from ocsync.client.factory import Limits as Limits
    from ocsync.client.factory import open_client as open_client
    from ocsync.client.list_reads import read_list as read_list
    from ocsync.client.responses import GATEWAY_HINT as GATEWAY_HINT
    from ocsync.client.sync_configs import read_targets as read_targets
    from ocsync.client.sync_configs import request_sync as request_sync
    from ocsync.client.sync_configs import set_paused as set_paused

__getattr__ = importer(
    __name__,
    {
        "GATEWAY_HINT": "responses",
        "Api": "api",
        "Identity": "api",
        "Page": "api",
        "Reply": "api",
        "list_key": "batch_reads",
        "read_current": "batch_reads",
        "ref_of": "batch_reads",
        "Connection": "factory",
        "Limits": "factory",
        "open_client": "factory",
        "read_list": "list_reads",
        "read_targets": "sync_configs",
        "request_sync": "sync_configs",
        "set_paused": "sync_configs",
    },
)
