"""Memory at its peak, seen from outside."""

from __future__ import annotations

import subprocess
import sys

from _memory import PeakMemory

# 64 MiB written, then freed again, between two lines read.
_PROGRAM = """
import sys
sys.stdin.readline()
taken = bytearray(b"x" * (64 << 20))
print("taken", flush=True)
sys.stdin.readline()
"""


def test_what_is_taken_is_seen():
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with PeakMemory(process.pid, 0.001) as peak:
            before = peak.kib
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "taken\n"
        # Within 64 MiB to 64 MiB and one more copy of it.
        assert 60 << 10 < peak.kib - before < 140 << 10
        process.communicate("\n")


def test_a_process_that_has_ended_is_no_fault():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        with PeakMemory(process.pid, 0.001) as peak:
            pass
    assert peak.kib == 0
