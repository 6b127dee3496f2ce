"""How far a supernet's order is the true one."""

from collections.abc import Iterator

import numpy as np
import record
from ranking import DENSITIES, PLAIN, SCHEDULES

from results import verdict
from tables.text import plural, source, table


def ranking(space: str, scale: str) -> str:
    """The table of one space at one scale, and what it says of the questions; or that nobody has measured it."""
    name = f"ranking-{space}-{scale}"
    if not (record.RECORDS / f"{name}.json").exists():
        return f"Not measured yet: `benchmarks/ranking.sh` writes `{name}`."
    r = record.load(name)
    what = f"{r['networks']} networks, {plural(r['seeds'], 'seed')}; `supernet/train.py {r['flags']}` and, by row:"
    rows = [
        [
            variant,
            f"`{r['variants'][variant] or '--fairness strict'}`",
            *_ranked(found["recalibrated"], r["ahead_of_strict"].get(variant)),
        ]
        for variant, found in r["supernets"].items()
    ]
    read = [
        ["strict", reading, *_ranked(s, r["ahead_of_plain"].get(reading))]
        for reading, s in r["supernets"]["strict"].items()
        if reading != "recalibrated"
    ]
    equal = r.get("baselines_equal_cost", {})
    free = [
        [name, "", "", "**{:.3f}** ({:.2f} to {:.2f})".format(*tau), _mean([equal.get(name)])]
        for name, tau in r["baselines"].items()
    ]
    head = [
        "order by",
        "flags or reading",
        "mean score",
        "tau",
        "at equal cost",
        "ahead of strict",
        "best half",
        "first 10 give up",
        "between seeds",
    ]
    rows = [row + [""] * (len(head) - len(row)) for row in rows + read + free]
    picture = f"![accuracy against truth, coloured by multiply-adds; tau along the training]({name}.png)"
    whence = f"{source(r)} {r.get('note', '')}".strip()
    return "\n\n".join([what, table(head, rows), "\n".join(_answers(r)), picture, whence])


def changes() -> str:
    """What every change and every other reading gains, in all records, those that were dropped too; a column each."""
    records = _records()
    rows = []
    for key in ("ahead_of_strict", "ahead_of_plain"):
        for name in dict.fromkeys(name for r in records for name in r[key] if name not in SCHEDULES | DENSITIES):
            leads = [r[key].get(name) for r in records]
            rows.append([name, *(_lead(lead["mean"]) if lead else "" for lead in leads)])
    return table(["tau gained by", *(f"`{r['space']}`, {r['scale']}" for r in records)], rows)


def _records() -> list[dict]:
    return [record.load(path.stem) for path in sorted(record.RECORDS.glob("ranking-*.json"))]


def deeper_insights() -> str:
    r = record.load("deeper_insights")
    equal = r["equal_cost"]
    kept, mean = r["best_tenth_kept"], r["true_rank_of_the_mean"]
    rows = [
        ["tau with the truth at one step (GT-Tau)", _range(r["gt_tau"], 3)],
        *([f"the same averaged over {n} steps", _range(tau, 3)] for n, tau in r["gt_tau_averaged"].items()),
        [f"the same averaged over all {r['steps']} steps", f"{r['tau_of_the_mean']:.3f}"],
        ["tau gained by averaging (95 % interval)", _lead(r["gained_by_averaging"])],
        *(row for name, found in r["mended"].items() for row in _mended(name, found)),
        ["tau of multiply-adds", f"{r['tau_of_multiply_adds']:.3f}"],
        [f"tau at one step, of the {equal['pairs']} pairs of equal cost", _range(equal["gt_tau"], 3)],
        ["the same averaged over all steps", f"{equal['of_the_mean']:.3f}"],
        ["tau between a step and the next", _range(r["tau_next_step"], 3)],
        ["tau between steps a round of all networks apart", _range(r["tau_next_round"], 3)],
        *(
            [f"best true rank among the first {n} (T{n}R)", f"{_range(ranks, 1)}; averaged over all steps {mean[n]}"]
            for n, ranks in r["true_rank"].items()
        ),
        ["truly best tenth kept by leaving out the worst quarter", f"{kept['mean']:.0%} ({kept['low']:.0%} at least)"],
    ]
    head = [f"{r['networks']} networks", "mean (lowest to highest)"]
    return f"{table(head, rows)}\n\n{source(r)}"


def _mended(name: str, found: dict) -> Iterator[list[str]]:
    flags = f"`{verdict.MENDS[name].flags}`"
    yield [f"at one step, {name} ({flags})", f"{_range(found['gt_tau'], 3)}; gained {_lead(found['gained'])}"]
    gained = _lead(found["gained_of_the_mean"])
    yield [f"averaged over all steps and {name}", f"{found['of_the_mean']:.3f}; gained {gained}"]


def by_weight(word: str) -> str:
    """Tau by the weight of a word in the scores: of a published supernet, if that is known, and of those trained."""
    r, found = record.load("deeper_insights"), {}
    if word == "size":
        found = {f"`three_edge`, published, {name}": taus for name, taus in r["by_size_weight"].items()}
    for r in _records():
        taus = r.get(f"by_{word}_weight", {})
        found |= {f"`{r['space']}`, {r['scale']}, {name}": tau for name, tau in taus.items()}
    return _by_weight(word, found)


def _by_weight(word: str, found: dict[str, dict[str, float]]) -> str:
    weights = next(iter(found.values()))
    rows = [[name, *(f"{taus[weight]:.2f}" for weight in weights)] for name, taus in found.items()]
    return table(["supernet", *(f"`--{word}-weight {weight}`" for weight in weights)], rows)


def untrained() -> str:
    """Orders by what is told of networks before any training, beside those of supernets: a table for each space."""
    records = [record.load(path.stem) for path in sorted(record.RECORDS.glob("untrained*.json"), reverse=True)]
    return "\n\n".join(part for r in records for part in (*map(_untrained, by_space(r).values()), source(r)))


def by_space(r: dict) -> dict[tuple[str, str], list[dict]]:
    """Runs, which differ in their seeds alone, by space and scale."""
    found = {}
    for run in r["runs"].values():
        found.setdefault((run["space"], run["scale"]), []).append(run)
    return found


def _untrained(runs: list[dict]) -> str:
    (space, scale, networks), orders = (runs[0][key] for key in ("space", "scale", "networks")), runs[0]["orders"]
    rows = [
        [
            name,
            *(_over_runs([run["orders"][name][of] for run in runs]) for of in ("tau", "equal_cost", "tenth")),
            beats(runs, name),
        ]
        for name in orders
    ]
    truth = runs[0].get("truth", "published")
    where = f"{scale} scale, {networks:,} networks" if truth == "published" else f"{networks:,} networks {truth}"
    what = f"`{space}`, {where}, {plural(len(runs), 'seed')}:"
    head = ["order by", "tau", "at equal cost", "in the best tenth", "the first beats of its cost"]
    return f"{what}\n\n{table(head, rows)}"


def beats(runs: list[dict], order: str) -> str:
    """Which share of the networks of its cost the first beats, in the mean over seeds."""
    found = [run["orders"][order]["beats"] for run in runs]
    return "too few" if None in found else f"{np.mean(found):.0%}"


def _over_runs(estimates: list[list[float] | None]) -> str:
    """The mean over seeds and its range; of one the interval over networks."""
    if estimates[0] is None:
        return "too few"
    values = [value for value, *_ in estimates]
    low, high = (min(values), max(values)) if len(values) > 1 else estimates[0][1:]
    return f"{np.mean(values):.2f} ({low:.2f} to {high:.2f})"


def untrained_by_weight() -> str:
    """Tau of the supernets' scores by the weight of AZ-NAS's word."""
    found = {}
    for (space, scale), runs in by_space(record.load("untrained")).items():
        taus = [run["by_weight"]["az-nas"] for run in runs]
        found[f"`{space}`, {scale}"] = {weight: np.mean([tau[weight] for tau in taus]) for weight in taus[0]}
    return _by_weight("az-nas", found)


def score_images() -> str:
    """Tau by how many held-out images score: by accuracy, and by loss; means over the seeds."""
    r = record.load("score_images")
    rows = [
        [f"`{space}`, {r['scale']}, by {way}", *_over_seeds([run[way] for run in runs.values()])]
        for space, runs in r["spaces"].items()
        for way in ("accuracy", "loss")
    ]
    numbers = next(iter(next(iter(r["spaces"].values())).values()))["accuracy"]
    return f"{table(['tau', *(f'{number} images' for number in numbers)], rows)}\n\n{source(r)}"


def _over_seeds(runs: list[dict[str, float]]) -> list[str]:
    return [f"{np.mean([run[number] for run in runs]):.2f}" for number in runs[0]]


def corrected() -> str:
    """What networks trained alone make of a supernet's order: of a published one, and of strictly fair ones."""
    r, published = record.load("deeper_insights"), "`three_edge`, published"
    found = {f"{published}, at one step": [r["corrected"]], f"{published}, mean of all steps": [r["corrected_mean"]]}
    for r in _records():
        seeds = r["supernets"]["strict"][PLAIN].get("by_trained")
        found |= {f"`{r['space']}`, {r['scale']}": seeds} if seeds else {}
    rows = [
        [name, n, *(f"{np.mean([seed[n][key] for seed in seeds]):.2f}" for key in ("supernet", "corrected", "without"))]
        for name, seeds in found.items()
        for n in seeds[0]
    ]
    head = ["scores of", "networks trained", "tau of the others", "corrected by them", "told from them alone"]
    return table(head, rows)


def fronts(space: str) -> str:
    """What a front is worth if a supernet's scores gave it, corrected or not: means over its seeds."""
    r, found = record.load(f"fronts-{space}"), {}
    for kind, by_run in r["supernets"].items():
        for name, by_number in by_run.items():
            found.setdefault(f"{name.rpartition('-')[0]} {kind}", []).append(by_number)
    found["none"] = [r["alone"]]
    what = f"All {r['networks']:,} networks of `{space}`; means over {r['draws']} draws of those trained, and of those "
    what += "that mend, of what is given up medians, and in brackets the most:"
    rows = [[name, "", *_worth([worth])] for name, worth in r["free"].items()]
    for name, seeds in found.items():
        rows += [[name, "" if n == "0" else n, *_worth([seed[n] for seed in seeds])] for n in seeds[0]]
    head = [
        "scores",
        "networks trained",
        "tau",
        "in the best tenth",
        "on the front",
        "hypervolume",
        "the first gives up",
        "best of the first 5",
        "the first beats of its cost",
    ]
    return f"{what}\n\n{table(head, rows)}\n\n{source(r)}"


def _worth(found: list[dict]) -> list[str]:
    tau, tenth, size, volume = (np.mean([each[key] for each in found]) for key in ("tau", "tenth", "size", "volume"))
    beats = f"{np.mean([each['beats'] for each in found]):.0%}"
    taus = sorted(f"{each['tau']:.2f}" for each in found)
    seeds = f" ({taus[0]} to {taus[-1]})" if len(taus) > 1 else ""
    lost = [_lost([each[n] for each in found], [each[f"{n}_most"] for each in found]) for n in ("1", "5")]
    return [f"{tau:.2f}{seeds}", f"{tenth:.2f}", f"{size:,.0f}", f"{volume:.4f}", *lost, beats]


def _lost(middle: list[float], most: list[float]) -> str:
    """In points of accuracy; the most of all draws, if there are any."""
    return f"{100 * np.mean(middle):.2f}" + (f" ({100 * max(most):.2f})" if most != middle else "")


def _range(spread: dict, digits: int) -> str:
    return f"{spread['mean']:.{digits}f} ({spread['low']:.{digits}f} to {spread['high']:.{digits}f})"


def trust() -> str:
    """What the records of all spaces and scales say in a line each."""
    lines = [line for r in _records() for line in _trust(r)]
    return "\n".join(lines) if lines else "Nothing is measured yet."


def _trust(r: dict) -> Iterator[str]:
    s, (madds, *_) = r["supernets"]["strict"]["recalibrated"], r["baselines"]["madds"]
    low, high = np.mean(s["intervals"], axis=0)
    against = "better than" if low > madds else "worse than" if high < madds else "not to be told from"
    n, total = r["networks"], plural(r["seeds"], "seed")
    first = np.mean([found["10"]["true_rank"] for found in s["first"]])
    yield (
        f"- `{r['space']}`, {r['scale']} scale ({n} networks, {total}): the strictly fair supernet's order, tau "
        f"{s['mean']:.2f}, is {against} that of multiply-adds, {madds:.2f}. The best of its first 10 networks is in "
        f"truth number {first:.0f} of {n}, {100 * np.mean([f['10']['regret'] for f in s['first']]):.2f} points of "
        f"accuracy behind the best.{_equal_cost(s)}"
    )
    if low <= 0:
        yield "  - It cannot be told from chance: what ranks better than that here need not where supernets learn."
        return
    for what, leads in (("trained as", r["ahead_of_strict"]), ("read as", r["ahead_of_plain"])):
        for name, lead in leads.items():
            value, low, high = lead["mean"]
            if not low <= 0 <= high:
                word = "better" if value > 0 else "worse"
                yield f"  - {what} *{name}* it ranks {word}: {value:+.2f} ({low:+.2f} to {high:+.2f})."


def _equal_cost(s: dict) -> str:
    tau = _mean(s.get("equal_cost", []))
    return f" Of networks of equal cost its tau is {tau}." if tau else ""


def _mean(taus: list[float | None]) -> str:
    """Empty where it was not measured, or of too few pairs."""
    known = [tau for tau in taus if tau is not None]
    return f"{np.mean(known):.2f}" if known else ""


def _ranked(s: dict, lead: dict | None) -> list[str]:
    """Cells of one order: means over the seeds."""
    low, high = np.mean(s["intervals"], axis=0)
    spread = f"; seeds {min(s['tau']):.2f} to {max(s['tau']):.2f}" if len(s["tau"]) > 1 else ""
    lost = np.mean([found["10"]["regret"] for found in s["first"]])
    return [
        "" if abs(s["accuracy"]) < 1e-3 else f"{s['accuracy']:.3f}",  # smoothed scores have the mean 0
        f"**{s['mean']:.3f}** ({low:.2f} to {high:.2f}{spread})",
        _mean(s.get("equal_cost", [])),
        _lead(lead["mean"]) if lead else "",
        _mean(s["inside_best_half"]) or "too few",
        f"{100 * lost:.2f}",
        "one seed" if s["s_tau"] is None else f"{s['s_tau']:.2f}",
    ]


def _lead(estimate: list[float]) -> str:
    value, low, high = estimate
    return f"{value:+.3f} ({low:+.2f} to {high:+.2f}){'' if low <= 0 <= high else ', **outside**'}"


def _answers(r: dict) -> Iterator[str]:
    """What is over- and underrated by the strictly fair supernet of seed 0, and how its order came about."""
    yield "Of the strictly fair supernet of seed 0:\n"
    s = r["supernets"]["strict"]["recalibrated"]
    bias = sorted(s["operations"][0].items(), key=lambda pair: -pair[1])
    yield f"- One more of an operation, in % of the ranks: {', '.join(f'{name} {100 * x:+.1f}' for name, x in bias)}."
    yield f"- Smallest to largest quarter, in % of the ranks: {', '.join(f'{100 * x:+.1f}' for x in s['size'][0])}."
    yield f"- Tau along the training: {', '.join(f'{tau:.2f}' for tau in s['gt_tau'][0].values())}."
    lost = ", ".join(f"{n}: {100 * found['regret']:.2f}" for n, found in s["first"][0].items())
    yield f"- Points of accuracy given up by training the first: {lost}."
    if r["not_learned"]:
        yield f"- At chance, and so not ranked: {', '.join(r['not_learned'])}."
    yield f"- What the command advises: {s['sentence'][0]}"
