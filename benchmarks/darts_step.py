"""One search step of every method of the DARTS family, and of a plain transcription of DARTS, in the same run.

    python benchmarks/darts_step.py [--batch 16] [--rounds 3] [--threads 1]
On the paper's search network: 16 channels, 8 cells, images of 32 pixels. Each method in a process of its own, in turn;
on a CPU a step is measured in CPU seconds, so that a shared machine does not blur it. All in float32, also on a GPU.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from statistics import median

import record
import torch
from plain_darts import PlainNetwork, PlainSearch, same_weights

import search_spaces
from evo.proposals import methods
from evo.proposals.relax import Relaxed
from supernet.compute import Compute

SPACE = {"channels": 16, "cells": 8}


def searcher(name: str, device: torch.device):
    """step(train, val) -> loss, of a method of ours or of the plain way; both begin with the same weights."""
    space = search_spaces.load("darts", **SPACE)
    ours = Relaxed(methods.method("darts" if name == "plain" else name), space, 0, device)
    ours.begin(0)
    ours.net.train()
    if name == "plain":
        net = PlainNetwork(space)
        same_weights(net, ours.net.cpu(), {kind: alpha.cpu() for kind, alpha in ours.alphas.items()})
        for kind, alpha in net.alphas.items():
            net.alphas[kind] = alpha.detach().to(device).requires_grad_()
        return PlainSearch(net.to(device)).step

    def step(train, val):
        ours.step_alphas(train, val)
        return ours.step_weights(train)

    return step


def batches(size: int, device: torch.device, last: bool):
    """The same random images for everybody; ours get them with channels last, as the data gives them."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(2):
        images = torch.randn(size, 3, 32, 32, generator=generator).to(device)
        images = images.contiguous(memory_format=torch.channels_last) if last else images
        yield images, torch.randint(10, (size,), generator=generator).to(device)


def measure(name: str, size: int, rounds: int) -> dict:
    """Seconds of each step but the first, its peak memory in MiB, the losses."""
    device = Compute().target()
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    step, (train, val) = searcher(name, device), batches(size, device, name != "plain")
    seconds, losses = [], []
    for _ in range(rounds + 1):
        start = clock()
        losses.append(step(train, val).item())
        seconds.append(clock() - start)
        if len(losses) == 1 and device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()  # of the libraries' choice among their ways
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**20
    return {"seconds": seconds[1:], "peak_memory_mib": peak, "losses": losses}


def main() -> None:
    parser = record.parser(__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", help="measure this one here and print it")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.only:
        print(json.dumps(measure(arguments.only, arguments.batch, arguments.rounds)))
        return
    results = {}
    for name in ("plain", *methods.METHODS):
        command = [sys.executable, *sys.argv, "--only", name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results[name] = json.loads(done.stdout)
        results[name]["median_seconds"] = median(results[name]["seconds"])
        print(name, results[name]["median_seconds"], results[name]["peak_memory_mib"], file=sys.stderr)
        if "darts" in results:  # what is done is kept
            save(arguments, results)


def save(arguments: argparse.Namespace, results: dict[str, dict]) -> None:
    """The record of these methods, the plain one and DARTS among them."""
    plain, ours = results["plain"], results["darts"]
    ratios = {name: r["median_seconds"] / ours["median_seconds"] for name, r in results.items()}
    memory = {name: r["peak_memory_mib"] / ours["peak_memory_mib"] for name, r in results.items()}
    apart = max(abs(a - b) / b for a, b in zip(ours["losses"], plain["losses"], strict=True))
    kind = "gpu" if torch.cuda.is_available() else "cpu"
    figures = {"batch": arguments.batch, "threads": arguments.threads, "methods": results}
    figures |= {"time_to_darts": ratios, "memory_to_darts": memory, "losses_apart": apart}
    print(record.save(f"darts_step-{kind}", figures))


if __name__ == "__main__":
    main()
