"""Prints what `results/verdict.py` found, as tables that fit 80 columns."""

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from results import ranking
from results.verdict import BASELINES, BY_LOSS, FEW, MENDS, UNMENDED, UNTRAINED, gains


def show(figures: dict) -> None:
    """All figures of ranking.json, and the sentence."""
    _show_orders(figures)
    first = figures["first"]
    rows = [["best true rank", *(str(first[n]["true_rank"]) for n in first)]]
    rows.append(["points of accuracy given up", *(f"{100 * first[n]['regret']:.2f}" for n in first)])
    _table("The first networks of the supernet's order", ["", *(f"first {n}" for n in first)], rows)
    rows = [["by multiply-adds", *map(_percent, figures["size"])]]
    _table("Placed too high or too low, in % of all ranks", ["", "smallest quarter", "2nd", "3rd", "largest"], rows)
    bias = sorted(figures["operations"].items(), key=lambda pair: -pair[1])
    _table("The same for one more of an operation", ["", "% of ranks"], [[name, _percent(x)] for name, x in bias])
    plain, mended = figures["corrected"], figures["corrected_mended"]
    rows = [[f"{n} of them", *(f"{tau:.3f}" for tau in found.values())] for n, found in plain.items()]
    if mended != plain:
        rows += [[f"{n}, scores mended", *(f"{tau:.3f}" for tau in found.values())] for n, found in mended.items()]
    if rows:
        heads = ["trained alone", "supernet", "corrected by them", "by them alone"]
        _table("Kendall's tau of the others (evo/search.py --correct)", heads, rows)
    taus = "  ".join(f"{epoch}: {tau:.3f}" for epoch, tau in figures["gt_tau"].items())
    unmended = f", {UNMENDED}" if UNMENDED in figures["tau"] else ""
    earlier = "" if len(figures["gt_tau"]) > 1 else "  (earlier ones: supernet/train.py --snapshots 1 keeps them)"
    _say(f"Tau per epoch{unmended}  {taus}{earlier}")
    if figures["s_tau"] is not None:
        print(f"Tau between seeds  {figures['s_tau']:.3f}")
    print()
    _say(figures["sentence"])


def _show_orders(figures: dict) -> None:
    """Tau of the orders, of all networks and of the truly best, and what mending gains."""
    parts = {
        "all": figures,
        **{f"best {100 * float(share):.0f} %": found for share, found in figures["inside"].items()},
    }
    asked = UNMENDED in figures["tau"]
    nouns = {"supernet": "supernet, mended" if asked else "supernet", UNMENDED: UNMENDED, BY_LOSS: "its losses"}
    nouns |= dict.fromkeys(list(gains(figures))[:1], "best mended")
    nouns |= {name: name for name in UNTRAINED.values()} | BASELINES
    nouns = {name: noun for name, noun in nouns.items() if name in figures["tau"]}
    rows = [
        [noun, *(_estimate(found["tau"][name]) if found["tau"] else "too few" for found in parts.values())]
        for name, noun in nouns.items()
    ]
    heads = [f"{part} ({found['networks']})" for part, found in parts.items()]
    _table("Kendall's tau with the truth (95 % confidence)", ["", *heads], rows)
    if figures["equal_cost"]:
        found = figures["equal_cost"]
        rows = [[noun, _estimate(found["tau"][name])] for name, noun in nouns.items()]
        _table(f"Tau of the {found['pairs']:,} pairs of equal cost (within {ranking.NEAR:.0%})", ["", ""], rows)
    _say("Spearman  " + ", ".join(f"{noun} {figures['spearman'][name]:.2f}" for name, noun in nouns.items()))
    print()
    lost = {name: f"{100 * value:.2f}" for name, value in figures["given_up"].items()}
    rows = [["none", "", lost[UNMENDED if asked else "supernet"]]]
    mends = {MENDS[name].flags: (gain, lost[name]) for name, gain in gains(figures).items()}
    mends |= {figures["asked"]: (figures["ahead"][UNMENDED], lost["supernet"])} if asked else {}
    for flags, (gain, points) in mends.items():
        rows.append([flags, "{:+.2f} ({:+.2f}..{:+.2f})".format(*gain), points])
    title = (
        "Scores mended without any training; the points of accuracy given up by training "
        f"the first {FEW} within a limit on the multiply-adds, in the mean over limits"
    )
    _table(textwrap.fill(title, 80), ["flags of evo/search.py", "tau gained", "points"], rows)


def _say(text: str) -> None:
    print(textwrap.fill(text, 80))


def _estimate(values: Sequence[float]) -> str:
    return "{:.2f} ({:.2f}..{:.2f})".format(*values)


def _percent(share: float) -> str:
    return f"{100 * share:+.1f}"


def _table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=None, pad_edge=False)
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if i else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    print(title)
    Console(width=max(80, Console().width)).print(table)
    print()
