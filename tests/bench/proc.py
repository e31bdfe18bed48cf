"""What the kernel says of our processes."""
import os
import pathlib
import re

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1]
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) / TICKS


def wakeups(pid):
    """Times that a thread of `pid` went to sleep by itself."""
    total = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        total += int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)",
                               status.read_text(), re.M)[1])
    return total


def memory_mib(pid):
    """(private dirty, resident) in MiB."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return tuple(int(re.search(rf"^{key}:\s*(\d+) kB", rollup, re.M)[1]) / 1024
                 for key in ("Private_Dirty", "Rss"))


def machine():
    model = re.search(r"model name\s*: (.*)",
                      pathlib.Path("/proc/cpuinfo").read_text())
    return (f"{os.cpu_count()} cores of {model[1] if model else 'a CPU'}, "
            f"Linux {os.uname().release}")
