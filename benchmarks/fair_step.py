"""A strictly fair step: one pass per path, which is its definition, against the fast ways, in turn in the same run.

    python benchmarks/fair_step.py
    python benchmarks/fair_step.py --device cuda --batch 256 --rounds 20
    python benchmarks/fair_step.py --device cuda --batch 128 --image-size 224 --rounds 20 [--compile]
The space is fairnas, 19 layers x 6; images are random: speed does not depend on them. On a GPU also the card's
ceilings as measured here (a large copy, a large matrix product) and where the fastest way's time goes.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from statistics import median

import numpy as np
import record
import torch
from torch.nn import functional as F

import search_spaces
from supernet import fairness, memory, model, step
from supernet.kernels import quicken
from supernet.static import StaticStep

Way = Callable[[torch.Tensor, torch.Tensor, np.ndarray], torch.Tensor]  # images, labels, paths -> losses
SMALL = 64  # pixels
BF16 = partial(torch.autocast, "cuda", torch.bfloat16)


class Setting:
    """What all ways share: the space, the device, a mini-batch."""

    def __init__(self, device: str, image_size: int, batch: int):
        self.space, self.device = search_spaces.load("fairnas", image_size=image_size, num_classes=10), device
        images = torch.randn(batch, 3, image_size, image_size, generator=torch.Generator().manual_seed(0))
        self.images, self.labels = images.to(device), (torch.arange(batch) % 10).to(device)

    def net(self, memory_format: torch.memory_format = torch.channels_last, crop: bool = True) -> model.Supernet:
        net = model.build(self.space, torch.Generator().manual_seed(0))
        return (quicken(net) if crop else net).to(self.device, memory_format=memory_format).train()

    def plain(self, memory_format=torch.channels_last, context=nullcontext, tf32: bool = True) -> Way:
        """The definition, on the net as it is built."""
        net = self.net(memory_format, crop=False)

        def take(images, labels, paths):
            net.zero_grad()
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
            with context():
                return step.plain(net, F.cross_entropy, images.contiguous(memory_format=memory_format), labels, paths)

        return take

    def fast(self, size: int, context=nullcontext, static: bool = False, compiler: dict | None = None) -> Way:
        """As `supernet/train.py` trains."""
        net = self.net()
        graph = StaticStep(net, F.cross_entropy, context, compiler) if static else None
        take = step.FairStep(net, F.cross_entropy, size, context, graph)

        def zeroed(images, labels, paths):
            net.zero_grad()
            losses = take(images.contiguous(memory_format=torch.channels_last), labels, paths)
            if take.size != size or take.static is not graph:
                raise RuntimeError("the step fell back to a slower way: what it said stands above")
            return losses

        return zeroed


def ways(setting: Setting, compiled: bool) -> dict[str, Way]:
    """By name; the first is what the others are measured against. `compiled` takes minutes to compile."""
    if setting.device == "cpu":
        return {
            "plain loop, channels last": setting.plain(),
            "plain loop, channels first": setting.plain(torch.contiguous_format),
            "one path at a time": setting.fast(1),
            "all paths at a time": setting.fast(6),
        }
    if compiled:
        return {
            "plain loop, bfloat16, channels last": setting.plain(context=BF16),
            "all paths, bfloat16, CUDA graph, compiled": setting.fast(6, BF16, True, {}),
        }
    slow = {
        "plain loop, float32": setting.plain(torch.contiguous_format, tf32=False),
        "plain loop, TF32": setting.plain(torch.contiguous_format),
    }
    return {
        "plain loop, bfloat16, channels last": setting.plain(context=BF16),
        **(slow if setting.images.shape[-1] <= SMALL else {}),  # of larger images they take too long
        "one path at a time, bfloat16": setting.fast(1, BF16),
        "all paths, bfloat16": setting.fast(6, BF16),
        "all paths, bfloat16, CUDA graph": setting.fast(6, BF16, True),
    }


def seconds(way: Way, setting: Setting, number: int) -> float:
    """One step, its gradients ready."""
    paths = fairness.strict(setting.space.choices, 0, number)
    start = time.perf_counter()
    way(setting.images, setting.labels, paths).sum().item()  # waits for a GPU
    return time.perf_counter() - start


def begin(way: Way, setting: Setting, graph: bool) -> dict[str, float | int | None]:
    """Of the first step, which compiles, captures and warms up: seconds. And the bytes that a step adds on a GPU at
    most: the second one, for in the first libraries try their ways; of a `graph`, whose own memory is seen only then,
    the first.
    """
    if setting.device == "cpu":
        return {"first_seconds": seconds(way, setting, 0), "peak_memory": None}
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    first = seconds(way, setting, 0)
    if not graph:
        torch.cuda.reset_peak_memory_stats()
        seconds(way, setting, 0)
    return {"first_seconds": first, "peak_memory": torch.cuda.max_memory_allocated() - before}


def work(setting: Setting) -> dict[str, float]:
    """Of one step: passes of one image; floating-point operations, two per multiply-add; bytes that modules read and
    write, as if nothing were fused or cached. The backward pass counts as two forward ones."""
    paths = fairness.strict(setting.space.choices, 0, 0)
    madds = setting.space.cost(paths)[:, 0].sum()
    return {
        "passes": len(paths) * len(setting.labels),
        "flop": float(6 * madds * len(setting.labels)),
        "bytes": 3.0 * traffic(setting, paths),
    }


def traffic(setting: Setting, paths: np.ndarray) -> int:
    """Bytes of the inputs and outputs of all modules in one forward pass along the paths."""
    net, moved = setting.net(), []
    for module in net.modules():
        if not list(module.children()):
            module.register_forward_hook(lambda _, given, out: moved.append(given[0].nbytes + out.nbytes))
    with torch.no_grad(), BF16() if setting.device == "cuda" else nullcontext():
        net(setting.images, paths)
    return sum(moved)


def ceilings() -> dict[str, float]:
    """Of this card: bytes/s of a copy (read and written), FLOP/s of a bfloat16 product of random matrices."""
    source, a = torch.randn(2**29, device="cuda"), torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    target = torch.empty_like(source)
    return {
        "bytes_per_second": 2 * source.nbytes / _event_seconds(lambda: target.copy_(source)),
        "flop_per_second": 2 * 8192**3 / _event_seconds(lambda: a @ a),
    }


def _event_seconds(call: Callable[[], object], rounds: int = 10) -> float:
    times = []
    for _ in range(rounds):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / 1000)
    return median(times)


def profile(way: Way, setting: Setting, steps: int = 5) -> dict:
    """Where a step's time goes on the GPU: seconds idle, and the ten kernels that take most."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profiler:
        wall = sum(seconds(way, setting, number) for number in range(steps))
    kernels = sorted(profiler.key_averages(), key=lambda event: -event.self_device_time_total)
    busy = sum(event.self_device_time_total for event in kernels) / 1e6
    top = [[event.key[:80], event.self_device_time_total / 1e6 / wall] for event in kernels[:10]]
    return {"step_seconds": wall / steps, "busy_share": busy / wall, "kernels": top}


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.backends.cudnn.benchmark = True
    setting = Setting(arguments.device, arguments.image_size, arguments.batch)
    known, effort = ways(setting, arguments.compile), work(setting)
    first = {name: begin(way, setting, "graph" in name) for name, way in known.items()}
    times = {name: [] for name in known}
    for number in range(1, arguments.rounds + 1):
        for name, way in known.items():
            times[name].append(seconds(way, setting, number))
    reference = next(iter(times.values()))
    figures = {}
    for name, values in times.items():
        ratios = sorted(plain / own for plain, own in zip(reference, values, strict=True))
        figures[name] = {
            **first[name],
            "seconds": median(values),
            "seconds_spread": [min(values), max(values)],
            "ratio": median(ratios),
            "ratio_spread": [ratios[0], ratios[-1]],
            "passes_per_second": effort["passes"] / median(values),
            "flop_per_second": effort["flop"] / median(values),
            "bytes_per_second": effort["bytes"] / median(values),
        }
    content = vars(arguments) | {"work": effort, "ways": figures}
    if arguments.device == "cuda":
        fastest = min(times, key=lambda name: median(times[name]))
        content |= {"ceilings": ceilings(), "profile": {"way": fastest, **profile(known[fastest], setting)}}
    content["activation_bytes_per_path"] = memory.per_path(setting.net(), setting.space.choices, setting.images[:2])
    suffix = "-compiled" if arguments.compile else ""
    print(record.save(f"fair_step-{arguments.device}-{arguments.image_size}{suffix}", content))


if __name__ == "__main__":
    main()
