"""A strictly fair step in 1, 2 and 4 processes on this machine: time, what goes over the wire, and what it predicts.

    python benchmarks/scaling.py [--space fairnas] [--steps 5]
The batch is the whole one, split among the processes, one thread each (on GPUs: one each). "per path" sends the
gradients after the backward pass of every path, as DistributedDataParallel around each would; "once" sends them once.
"""

import json
import os
import subprocess
import sys
import time
from statistics import median

import record
import torch

import search_spaces
from supernet import fairness, model, ranks
from supernet.kernels import quicken
from supernet.step import FairStep

SIZES = (1, 2, 4)
BATCH, PIXELS = 32, 32


def measure(space_name: str, steps: int) -> dict:
    """Run in every process: median seconds of a step, of its arithmetic, and of one exchange of all gradients."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)
    with ranks.team(1, device) as team:
        space = search_spaces.load(space_name, image_size=PIXELS, num_classes=10)
        net = quicken(model.build(space, torch.Generator().manual_seed(0))).to(device).train()
        step = FairStep(net, torch.nn.functional.cross_entropy)
        generator = torch.Generator().manual_seed(team.rank)
        images = torch.randn(BATCH // team.size, space.in_channels, PIXELS, PIXELS, generator=generator).to(device)
        labels = torch.randint(10, (len(images),), generator=generator).to(device)
        times = {"step": [], "exchange": []}
        for number in range(steps + 1):
            paths = fairness.strict(space.choices, 0, number)
            times["step"].append(seconds(lambda p=paths: team.step(net, lambda x, y: step(x, y, p), images, labels, 0)))
            flat = torch.cat([p.grad.reshape(-1) for p in net.parameters()])
            times["exchange"].append(seconds(lambda f=flat: team.sum(f)))
        medians = {name: team.mean(median(each[1:])) for name, each in times.items()}  # they wait for one another
        size = {"bytes_of_gradients": flat.numel() * flat.element_size(), "paths": max(space.choices)}
        return {**medians, **size} if team.first else {}


def seconds(work) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def processes(n: int, arguments: list[str]) -> dict:
    """What `measure` gives in n processes of torchrun."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n), "--"]
    done = subprocess.run([*command, __file__, "--worker", *arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def predicted(alone: dict, n: int, exchange: float, cores: int) -> float:
    """The step in n processes: its arithmetic shared by as many cores as there are, and one exchange."""
    return alone["step"] / min(n, cores) + exchange


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--space", default="fairnas")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--worker", action="store_true")
    arguments = parser.parse_args()
    if arguments.worker:
        found = measure(arguments.space, arguments.steps)
        if found:
            print(json.dumps(found))
        return
    given = ["--space", arguments.space, "--steps", str(arguments.steps)]
    rows = {str(n): processes(n, given) for n in SIZES}
    cores = torch.cuda.device_count() or record.machine()["cores"]
    for n, row in rows.items():
        row["predicted"] = predicted(rows["1"], int(n), row["exchange"], cores)
        row["speed_up"] = rows["1"]["step"] / row["step"]
        row["images_times_paths_per_second"] = BATCH * row["paths"] / row["step"]
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    load = round(os.getloadavg()[0], 1)
    figures = {"space": arguments.space, "batch": BATCH, "image_size": PIXELS, "workers": cores, "load": load}
    print(record.save(f"scaling-{kind}", {**figures, "processes": rows}))


if __name__ == "__main__":
    main()
