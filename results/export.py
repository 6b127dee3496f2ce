"""Writes a trained pick for use elsewhere, RUN/exported/PICK.*: safetensors with its model card, torch.export, ONNX.
Every file is read back, compared with the network, and timed on this machine.

    python results/export.py RUN --pick A
    python results/export.py RUN --pick A --formats safetensors torch
"""

import supernet.early  # noqa: F401 (before PyTorch)

# isort: split
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import nn

import results
from results import trained
from supernet import checkpoint, command, files
from supernet.command import Run

TOLERANCE = 1e-4  # of the largest logit, at least of 1
CHECKED = (1, 4)  # batches compared
ROUNDS, WARM = 50, 5  # timed, and run before
EXTRA = 'pip install -e ".[export]" installs what is missing, --formats safetensors torch leaves it out'

Network = Callable[[torch.Tensor], torch.Tensor]  # images (B, C, H, W) -> logits (B, classes)


@dataclass(frozen=True)
class Config:
    """What to write."""

    run: Run
    """Run folder."""
    pick: str = "A"
    """One of the networks trained by results/train.py."""
    formats: tuple[str, ...] = ("safetensors", "torch", "onnx")
    """Which of safetensors, torch, onnx."""

    def __post_init__(self):
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown or not self.formats:
            raise ValueError(f"--formats takes {', '.join(FORMATS)}; got {' '.join(unknown) or 'none'}")


def _safetensors(net: nn.Module, example: torch.Tensor, path: Path, card: dict) -> Network:
    """Weights under PyTorch's names, the card in the header."""
    checkpoint.save(path, net.state_dict(), {**card, "kind": "exported"})
    tensors, meta = checkpoint.load(path, "exported")
    again = trained.build(meta)
    again.load_state_dict(tensors)
    return again.eval()


def _program(net: nn.Module, example: torch.Tensor) -> torch.export.ExportedProgram:
    """The network as a graph that takes batches of any size."""
    example = example.expand(2, *example.shape[1:])  # one image would fix the size
    return torch.export.export(net, (example,), dynamic_shapes=({0: torch.export.Dim("batch")},))


def _torch(net: nn.Module, example: torch.Tensor, path: Path, card: dict) -> Network:
    """`torch.export.load(path).module()` runs without our code."""
    buffer = io.BytesIO()
    torch.export.save(_program(net, example), buffer)
    files.write(path, buffer.getvalue())
    return torch.export.load(path).module()


def _onnx(net: nn.Module, example: torch.Tensor, path: Path, card: dict) -> Network:
    """One file; input "images", output "logits", any batch size."""
    onnxruntime = _onnx_packages()
    names = {"input_names": ["images"], "output_names": ["logits"]}
    program = torch.onnx.export(_program(net, example), **names, dynamo=True, verbose=False)
    files.write(path, program.model_proto.SerializeToString())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])


def _onnx_packages():
    """onnxruntime; ValueError if it or what the exporter needs is missing."""
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ValueError(f"ONNX needs packages that are not here ({error}): {EXTRA}") from error
    return onnxruntime


FORMATS: dict[str, tuple[str, Callable[..., Network]]] = {
    "safetensors": ("safetensors", _safetensors),
    "torch": ("pt2", _torch),
    "onnx": ("onnx", _onnx),
}


def export(
    net: nn.Module, shape: Sequence[int], stem: Path, card: dict, formats: Sequence[str] = tuple(FORMATS)
) -> dict:
    """Writes `net`, in eval mode, beside `stem` in each format, and its card with what was measured.

    `shape` (C, H, W) of one image. Returns format -> {"file", "difference", "milliseconds"}: the largest difference of
    any logit, the median time of one image. ValueError if a file does not compute what the network does.
    """
    if "onnx" in formats:
        _onnx_packages()
    generator = torch.Generator().manual_seed(0)
    images = [torch.randn(size, *shape, generator=generator) for size in CHECKED]
    stem.parent.mkdir(parents=True, exist_ok=True)
    found = {}
    for name in formats:
        ending, write = FORMATS[name]
        path = stem.with_name(f"{stem.name}.{ending}")
        with torch.no_grad():
            again = write(net, images[0], path, card)
            found[name] = {"file": path.name, "difference": _difference(net, again, images, path)}
            found[name]["milliseconds"] = _milliseconds(again, images[0])
    files.save_json(stem.with_name(f"{stem.name}.json"), {**card, "exported": found})
    return found


def _difference(net: Network, again: Network, batches: Sequence[torch.Tensor], path: Path) -> float:
    """The largest of any logit; ValueError if it is more than rounding."""
    largest = 0.0
    for images in batches:
        wanted, got = net(images), again(images)
        scale = max(1.0, wanted.abs().max().item())
        largest = max(largest, (wanted - got).abs().max().item())
        if not largest <= TOLERANCE * scale:
            raise ValueError(f"{path} does not compute what the network does: its logits differ by {largest:.2g}")
    return largest


def _milliseconds(net: Network, images: torch.Tensor) -> float:
    """Median time of one batch, after some to warm up."""
    times = []
    for _ in range(WARM + ROUNDS):
        start = time.perf_counter()
        net(images)
        times.append(1e3 * (time.perf_counter() - start))
    return median(times[WARM:])


def main(config: Config) -> None:
    folder = Path(config.run)
    net = results.load(folder, config.pick)
    card = trained.card(folder, config.pick)
    space = card["space"]
    shape = (space["in_channels"], space["image_size"], space["image_size"])
    stem = folder / "exported" / config.pick
    found = export(net, shape, stem, card, config.formats)
    print(f"{config.pick}: {' x '.join(map(str, shape))} images, any batch size; normalise them as its card says")
    for name, row in found.items():
        print(f"{name:12} differs by at most {row['difference']:.1e}   {row['milliseconds']:8.3f} ms   {row['file']}")
    threads = torch.get_num_threads()
    print(f"times: median of one image on this machine's CPU, {threads} thread{'s' * (threads > 1)}")
    print(f"written to {stem.parent}, with the model card {stem.name}.json")


if __name__ == "__main__":
    command.call(main, Config, __doc__)
