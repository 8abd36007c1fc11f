"""The HTTP client. Neither httpx's types nor its errors leave this package.

The stack, outermost first, as `open_client` alone puts it together:

    Api                the calls and their typed errors
    OrderCloudAuth     a token for each request, renewed before it expires and once after a 401
    RetryTransport     repeats of attempts, where a repeat is safe; a waiting retry holds no slot
    ThrottleTransport  a slot for each attempt, from one pacer that all workers share
    AiohttpTransport   one round trip
"""

from __future__ import annotations

from ocsync.client.api import Api as Api
from ocsync.client.api import Identity as Identity
from ocsync.client.api import Reply as Reply
from ocsync.client.batch_reads import read_current as read_current
from ocsync.client.batch_reads import ref_of as ref_of
from ocsync.client.factory import Connection as Connection
from ocsync.client.factory import Limits as Limits
from ocsync.client.factory import open_client as open_client
from ocsync.client.sync_configs import read_targets as read_targets
from ocsync.client.sync_configs import request_sync as request_sync
from ocsync.client.sync_configs import set_paused as set_paused
