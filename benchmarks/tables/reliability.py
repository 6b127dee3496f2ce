"""Attacks made by hand, and long searches."""

import record

from tables.text import source, table


def reliability() -> str:
    """What was tried, by attack, and what came of it; or that nobody has tried it."""
    shows = {"kills": _kills, "damages": _damages, "inputs": _inputs}
    names = {name: f"reliability-{name}" for name in shows}
    there = {name: record.load(of) for name, of in names.items() if (record.RECORDS / f"{of}.json").exists()}
    rows = [show(there[name]["found"]) if name in there else [name, "not tried", ""] for name, show in shows.items()]
    return "\n\n".join(
        [table(["attack", "tried", "lost, silently wrong or crashed"], rows), *map(source, there.values())]
    )


def _kills(found: dict) -> list[str]:
    moments = len(found.keys() - {"kills", "different", "repeated"})
    wrong = f"{found.get('different', 0)} (files or tables that ended otherwise than without a kill)"
    return ["kill -9", f"{found['kills']:,} kills, after {moments} kinds of events", wrong]


def _damages(found: dict) -> list[str]:
    good = {name: found.get(name, 0) for name in ("refused", "previous", "same")}
    wrong = sum(found.values()) - sum(good.values()) - found["damages"]
    text = f"{good['refused']:,} refused, {good['previous']:,} mended, {good['same']:,} read as before"
    return ["damaged files", f"{found['damages']:,} damages; their readers: {text}", str(wrong)]


def _inputs(found: dict) -> list[str]:
    return [
        "wrong input",
        f"{sum(found.values()):,} inputs to {len(found)} functions and scripts",
        "0 (the first ends it)",
    ]


def soak() -> str:
    """A row for every long search that somebody has made."""
    records = [record.load(path.stem) for path in record.RECORDS.glob("soak-*.json")]
    records.sort(key=lambda r: r["evaluations"][-1])
    if not records:
        return "Not measured yet: `benchmarks/soak.py`."
    head = ["evaluations", "memory grows by", "archive, bytes per evaluation", "milliseconds per evaluation, by tenths"]
    rows = []
    for r in records:
        bytes_each = f"{min(r['bytes_each']):.0f} to {max(r['bytes_each']):.0f}"
        times = " ".join(f"{1000 * seconds:.2f}" for seconds in r["seconds_each"])
        rows.append([f"{r['evaluations'][-1]:,}", f"{max(r['memory']) - r['memory'][0]:.0f} MiB", bytes_each, times])
    return "\n\n".join([table(head, rows), *map(source, records)])
