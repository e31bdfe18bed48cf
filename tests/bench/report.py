"""What was measured, for people, for scripts and for docs/benchmarks.md."""
import math
import statistics

# name: (target, what meets it)
TARGETS = {
    "batched_over_single_B1024_71ms": (820, "at least"),
    "whole_path_over_single_B1024_71ms": (400, "at least"),
    "latency_p95_over_quote_71ms_200ps": (2.3, "at most"),
    "idle_latency_over_quote_71ms": (1.15, "at most"),
    "single_quote_over_raw_20ms": (1.25, "at most"),
    "batch_verify_over_single_verify": (25, "at least"),
    "tpm2_tools_script_over_us": (None, "for the record"),
    "private_dirty_mib_idle": (12, "at most"),
    "private_dirty_mib_after_100000": (12, "at most"),
    "idle_wakeups_per_s": (0, "at most"),
    "policy_10000_first": (2, "at most"),
    "policy_10000_last": (2, "at most"),
    "policy_10000_none": (2, "at most"),
}


def meets(name, value):
    target, how = TARGETS[name]
    if target is None:
        return True
    return value >= target if how == "at least" else value <= target


class Report:
    def __init__(self):
        self.ratios = {}
        self.tables = []

    def ratio(self, name, value):
        """One of TARGETS, or another that explains one of them."""
        self.ratios[name] = value

    def table(self, title, header, rows):
        self.tables.append((title, header, [[text(c) for c in r]
                                            for r in rows]))

    def complete(self):
        """Every promised number is there and is a number."""
        return all(math.isfinite(self.ratios.get(name, math.nan))
                   for name in TARGETS)

    def markdown(self):
        parts = []
        rows = []
        for name, value in self.ratios.items():
            target, how = TARGETS.get(name, (None, "explains the above"))
            verdict = ""
            if target is not None:
                verdict = "met" if meets(name, value) else "**missed**"
            rows.append([name, text(value),
                         how if target is None else f"{how} {target:g}",
                         verdict])
        for title, header, body in [
                ("Ratios and limits", ["name", "value", "target", ""], rows),
                *self.tables]:
            parts.append(f"{title}:\n\n" + grid(header, body))
        return "\n\n".join(parts) + "\n"

    def lines(self):
        return "".join(f"ratio {name} {value:.4g}\n"
                       for name, value in self.ratios.items())


def text(value):
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def grid(header, rows):
    """A Markdown table that is readable as plain text as well."""
    widths = [max(len(r[i]) for r in [header, *rows])
              for i in range(len(header))]
    def line(cells):
        return "| " + " | ".join(c.ljust(w) for c, w in
                                 zip(cells, widths)) + " |"
    rule = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
    return "\n".join([line(header), rule, *map(line, rows)])


def median_ratio(above, below):
    """Of pairs that were measured one after the other."""
    return statistics.median(a / b for a, b in zip(above, below))
