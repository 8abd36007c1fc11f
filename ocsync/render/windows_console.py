"""The console of Windows, which obeys escape codes for colours only if it is told to."""

from __future__ import annotations

import ctypes
from typing import Any

_STANDARD_HANDLES = {"stdout": -11, "stderr": -12}
_VIRTUAL_TERMINAL = 0x0004
"""The mode ENABLE_VIRTUAL_TERMINAL_PROCESSING, which consoles before Windows 10 lack."""


def enable_escape_codes(name: str, kernel: Any = None) -> bool:
    """Let the console of the stream *name* obey escape codes; return whether it does.

    *kernel* is kernel32, or what stands for it in a test.
    """
    kernel = kernel or vars(ctypes)["windll"].kernel32
    kernel.GetStdHandle.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.GetStdHandle(_STANDARD_HANDLES[name]))
    mode = ctypes.c_ulong()
    if not kernel.GetConsoleMode(handle, ctypes.byref(mode)):
        return False
    if mode.value & _VIRTUAL_TERMINAL:
        return True
    return bool(kernel.SetConsoleMode(handle, mode.value | _VIRTUAL_TERMINAL))
