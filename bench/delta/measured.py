"""Runs a script in a process that is small, so that what the kernel tells of it is not the peak of the process that asked.

A program begins with the peak of the process that started it (exec counts the old image's pages): bash is started from here.
Prints CPU seconds, peak KiB of the largest process, and the exit status, to the file descriptor that is named.
"""

import os
import sys

if __name__ == "__main__":
    told, script = int(sys.argv[1]), sys.argv[2]
    os.set_inheritable(told, False)  # noqa: FBT003
    pid = os.posix_spawnp("bash", ["bash", "-euo", "pipefail", "-c", script], os.environ)
    _, status, usage = os.wait4(pid, 0)
    os.write(told, f"{usage.ru_utime + usage.ru_stime} {usage.ru_maxrss} {os.waitstatus_to_exitcode(status)}".encode())
