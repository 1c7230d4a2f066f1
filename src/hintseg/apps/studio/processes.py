"""Whether a process that was noted earlier still runs: its number alone may belong to another one by now."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def birth(pid: int) -> str | None:
    """When a process started, in a form that no other process of this number repeats; None where none runs.

    A process that has ended but was not yet reaped does not run.
    """
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace").rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        except OSError:
            return None
        return None if fields[0] in "ZX" else f"{boot} {fields[19]}"
    if sys.platform == "win32":
        return _windows_birth(pid)
    found = subprocess.run(
        ["ps", "-o", "state=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=1)
    return None if len(found) < 2 or found[0].startswith("Z") else found[1].strip()


def end(pid: int, born: str, patience: float = 30) -> None:
    """Ask a process to end; after some seconds, end it.

    Args:
        pid, born: as `birth` had it: another process of that number is left alone.
        patience: seconds for a checkpoint to be written.
    """
    for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        if birth(pid) != born:
            return
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + patience
        while birth(pid) == born and time.monotonic() < deadline:
            time.sleep(0.05)


def _windows_birth(pid: int) -> str | None:
    """The creation time that the kernel keeps."""
    import ctypes

    kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined,unused-ignore]
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        return None
    times = [ctypes.c_uint64() for _ in range(4)]
    code = ctypes.c_uint32()
    try:
        known = kernel.GetProcessTimes(ctypes.c_void_p(handle), *map(ctypes.byref, times))
        running = kernel.GetExitCodeProcess(ctypes.c_void_p(handle), ctypes.byref(code)) and code.value == 259
    finally:
        kernel.CloseHandle(ctypes.c_void_p(handle))
    return str(times[0].value) if known and running else None
