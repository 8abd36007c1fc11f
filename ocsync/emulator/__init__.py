"""A local OrderCloud, for trying out, tests and rehearsals.

It does: sign-in by client credentials; every kind of the tables with GET, PUT, PATCH, POST and
DELETE, lists with pages, filters and order; assignments; what a write brings along (a buyer its
catalog, a category product its catalog product) or takes along (children, assignments); sums of
inventory records; sync configs and sync requests of all targets; `Paused` with changes held and
sent once an entity, deletes at once; delivery configurations; faults on request. What OrderCloud's
documentation leaves open is a switch of `Options`, with both behaviours.

It does not: send messages anywhere but to its log; orders; specs (a product generates one variant);
bulk jobs; users' passwords; search as the real index does it; anything of the Portal.
"""

from __future__ import annotations

from ocsync.emulator.options import Options as Options
from ocsync.emulator.server import Running as Running
from ocsync.emulator.server import running as running
from ocsync.emulator.server import serve as serve
