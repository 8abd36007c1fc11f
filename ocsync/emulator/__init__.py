"""A local OrderCloud, for trying out, rehearsals and tests.

A request comes in at `app`, finds its endpoint in the tree of `routes`, and is answered by the
verbs of `entities`, `assignments`, `configs`, `deliveries`, `actions` or `bulk`. What these may not
do is in `rules`, what comes and goes along in `effects`, what a document is in `documents`, how it
is shown in `showing`. Every write goes through `sync`, which decides who is told and when;
`payloads` says what, `courier` carries it. Kinds are rows: those of the product's tables, and
`kinds`.

What it does and does not do is in the README. What OrderCloud's documentation leaves open is a
switch of `ResumeOptions`, with each behaviour.
"""

from __future__ import annotations

from ocsync.emulator.options import EmulatorOptions as EmulatorOptions
from ocsync.emulator.server import RunningEmulator as RunningEmulator
from ocsync.emulator.server import serve as serve
from ocsync.emulator.server import serve_app_in_thread as serve_app_in_thread
from ocsync.emulator.server import serve_in_thread as serve_in_thread
