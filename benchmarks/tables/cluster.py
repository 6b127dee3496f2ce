"""Several processes, and Ray."""

import record

from tables.text import plural, source, table


def cluster() -> str:
    """What the Ray pool gains and costs; or that nobody has measured it."""
    if not (record.RECORDS / "cluster.json").exists():
        return "What it gains and costs: not measured (`benchmarks/cluster.py`)."
    r = record.load("cluster")
    two = f"{r['ratio']:.2f} ({r['ratio_min']:.2f} to {r['ratio_max']:.2f})"
    sides = {"here": ("here", ""), "one": ("one worker", "1.00"), "two": ("two workers", two)}
    rows = [[name, *(f"{x:.2f} s" for x in r["seconds"][side]), ratio] for side, (name, ratio) in sides.items()]
    spread = f"{r['overhead_min']:.2f} to {r['overhead_max']:.2f}"
    text = (
        f"All three give the same scores. The machine was under a load of {r['load']:.0f}: two workers had no two free "
        "cores, and the processor's seconds tell more than the clock's."
        if r["load"] > r["machine"]["cores"]
        else "All three give the same scores."
    )
    text += (
        f" Where next to nothing is to be computed a population takes {r['overhead_seconds']:.2f} s ({spread}). Ray "
        f"started while the supernet trained for {r['training_seconds']:.0f} s, and was then waited for "
        f"{r['waited_seconds']:.1f} s."
    )
    head = ["70 networks of the digits", "time", "of the processor", "throughput (spread)"]
    return f"{table(head, rows)}\n\n{text}\n\n{source(r)}"


def cluster_kills() -> str:
    if not (record.RECORDS / "cluster_kills.json").exists():
        return "What is lost when everything dies: not measured (`benchmarks/cluster_kills.py`)."
    r = record.load("cluster_kills")
    died = ", ".join(f"{n} of {'an' if kind == 'actor' else 'a'} {kind}" for kind, n in r["kills"].items())
    searches = plural(r["searches"], "search", "searches")
    text = (
        f"{sum(r['kills'].values())} kills at random moments of {searches} ({died}): of {r['evaluations']:,} "
        f"evaluations {r['lost']} were lost, {r['doubled']} were there twice and {r['other']} were other than in the "
        "same search without a cluster."
    )
    return f"{text}\n\n{source(r)}"


def scaling_step() -> str:
    """A step in so many processes; on each kind of machine that somebody has measured."""
    found = [record.load(path.stem) for path in sorted(record.RECORDS.glob("scaling-*.json"))]
    return "\n\n".join(map(_scaling, found)) or "Not measured: `benchmarks/scaling.py`."


def _scaling(r: dict) -> str:
    rows = [
        [
            n,
            *(f"{1000 * row[key]:,.0f} ms" for key in ("step", "predicted", "exchange")),
            f"{row['speed_up']:.2f}",
            f"{row['images_times_paths_per_second'] / min(int(n), r['workers']):,.0f}",
        ]
        for n, row in r["processes"].items()
    ]
    head = ["processes", "step", "predicted", "exchange", "times as fast", "images x paths per second and worker"]
    size, paths = r["processes"]["1"]["bytes_of_gradients"] / 2**20, r["processes"]["1"]["paths"]
    wire = f"{size:.1f} MiB of gradients a step; after each of the {paths} paths they would be {paths * size:.1f} MiB."
    what = f"{r['space']}, batch of {r['batch']} at {r['image_size']} pixels, {r['workers']} workers"
    return f"{what}: {wire}\n\n{table(head, rows)}\n\nLoad of the machine: {r['load']}. {source(r)}"


def imagenet() -> str:
    """What data and memory a supernet needs at ImageNet's size; or that nobody has measured it."""
    if not (record.RECORDS / "imagenet.json").exists():
        return "Not measured: `benchmarks/imagenet.py`."
    r, flow, batch = record.load("imagenet"), 10_000, 256
    loaded, kilobytes = flow / r["paths"], r["bytes_per_image"] / 1e3
    cores, megabytes = loaded / r["crops_per_second"], loaded * r["bytes_per_image"] / 1e6
    need = [
        ["training crops a core decodes", f"{r['crops_per_second']:,.0f} a second"],
        ["centres, for scoring", f"{r['centres_per_second']:,.0f} a second"],
        [f"for {flow:,} images x paths a second", f"{cores:,.0f} cores that decode, {megabytes:,.0f} MB/s read"],
        ["a step, per image of the batch", f"{r['bytes_per_image_of_a_step'] / 2**20:,.0f} MiB"],
        ["the same, as `--memory` estimates it", f"{r['predicted'] / 2**20:,.0f} MiB"],
        ["weights, gradients and momentum", f"{3 * r['bytes_of_weights'] / 2**20:,.0f} MiB"],
        *(
            [f"a batch of {batch} on {n} process{'es' if n > 1 else ''}", f"{_of_a_process(r, batch, n):,.1f} GiB each"]
            for n in (1, 8, 64)
        ),
    ]
    what = f"{r['space']} at {r['image_size']} pixels, float32, files of {kilobytes:,.0f} kB, {r['paths']} paths:"
    return f"{what}\n\n{table(['', ''], need)}\n\n{source(r)}"


def _of_a_process(r: dict, batch: int, n: int) -> float:
    """GiB of its share of the batch, and of its weights."""
    return (batch / n * r["bytes_per_image_of_a_step"] + 3 * r["bytes_of_weights"]) / 2**30


def scaling_evaluations() -> str:
    """What 14,000 evaluations take on workers of the kind that the oracle was measured on."""
    kinds = {"one CPU thread": "oracle-cpu", "one GPU": "oracle-cuda"}
    rows = []
    for kind, name in kinds.items():
        populations = record.load(name)["populations"] if (record.RECORDS / f"{name}.json").exists() else {}
        found = populations.get("converged population, recalibrated")
        times = [f"{14_000 / 70 * found['seconds'] / n:,.0f} s" if found else "not measured" for n in (1, 8, 64)]
        rows.append([kind, *times])
    note = "The supernet of the digits, 287 images, BatchNorm recalibrated; 8 and 64 are the first column divided."
    return f"{table(['14,000 evaluations on', '1', '8', '64 such workers'], rows)}\n\n{note}"
