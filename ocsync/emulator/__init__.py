"""A local OrderCloud, for trying out, rehearsals and tests.

A request enters in `app`, which finds its endpoint in the tree of `routes` and calls a handler
of `entities`, `assignments`, `sync_configs`, `delivery_configs`, `special_endpoints` or `bulk`.
`rules` refuses writes and deletes, `cascades` says what is created or deleted with a row,
`documents` validates and patches documents, and `views` computes what a response shows. Every
write goes through `publisher`, which decides which target publishes it and when; `payloads`
builds the message and `delivery_sender` sends it. Kinds are rows of tables: those of
`ocsync.schema`, and `kinds`.

The README lists what the emulator does and does not do. Where OrderCloud's documentation leaves
the behaviour open, `EmulatorOptions` has a switch with each possible behaviour.
"""

from __future__ import annotations

from ocsync.emulator.options import MILLISECONDS as MILLISECONDS
from ocsync.emulator.options import EmulatorOptions as EmulatorOptions
from ocsync.emulator.server import RunningEmulator as RunningEmulator
from ocsync.emulator.server import serve as serve
from ocsync.emulator.server import serve_app_in_thread as serve_app_in_thread
from ocsync.emulator.server import serve_in_thread as serve_in_thread
