"""What tables in documents are made of."""

import numpy as np


def quoted(lines: list[str]) -> str:
    return "\n".join(["```", *(line.rstrip() for line in lines), "```"])


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def source(r: dict) -> str:
    """Where a record comes from."""
    machine, versions = r["machine"], r["versions"]
    hardware = f"{machine['cpu']}, {machine['cores']} cores, {machine['gpu'] or 'no GPU'}"
    return f"`{r['command']}`: {hardware}; torch {versions['torch']}; {r['date']}, commit {r['commit']}."


def plural(n: int, one: str, many: str = "") -> str:
    return f"{n} {one if n == 1 else many or f'{one}s'}"


def change(found: list[float], whole: list[float], unit: float) -> str:
    """Of found over whole, pair by pair: the mean and its 95 % interval."""
    difference = (np.array(found) - np.array(whole)) * unit
    return f"{difference.mean():+.1f} ± {1.96 * difference.std(ddof=1) / len(difference) ** 0.5:.1f}"
