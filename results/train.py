"""Trains a picked network stand-alone, from scratch. Called again it goes on where it was.
The weights land in RUN/trained/, `results.load(RUN, "A")` reads them.

    python results/train.py RUN --pick A
    python results/train.py RUN --encoding "20 2350 0551 3113 3535 4" --name mine
"""

import re
from dataclasses import dataclass, field, fields
from pathlib import Path

import torch
from torch import nn

import search_spaces
from results import front
from search_spaces import SearchSpace
from search_spaces.blocks import initialise
from supernet import checkpoint, command, fit, run_folder
from supernet.command import Run, Text
from supernet.compute import Compute
from supernet.data import Data, DataConfig, load

RECIPES = {  # by data set
    "digits": fit.Recipe(epochs=40, batch_size=64, lr=0.1, weight_decay=1e-3),
    "": fit.Recipe(epochs=200, batch_size=128, lr=0.1, weight_decay=5e-4),
}
NAME = r"\w[\w-]*"  # of a pick: it becomes a file's name


@dataclass(frozen=True)
class Config:
    """What to train, and how."""

    run: Run
    """Run folder of a search."""
    pick: str = "A"
    """One of the run's picks."""
    encoding: Text = None
    """Train this architecture instead of a pick."""
    name: str = "own"
    """What to call an architecture given by --encoding."""
    data_root: Text = None
    """Where the images lie now, if they have moved."""
    seed: int = 0
    """Of the initial weights and the order of the images."""
    training: fit.Training = field(default_factory=fit.Training)
    compute: Compute = field(default_factory=Compute)

    def __post_init__(self):
        for flag in ("name", "pick"):
            if not re.fullmatch(NAME, getattr(self, flag)):
                raise ValueError(f"--{flag} must be letters, digits, - or _; got {getattr(self, flag)!r}")
        if self.seed < 0:
            raise ValueError(f"--seed must not be negative, got {self.seed}")


def _chosen(config: Config, content: dict, space: SearchSpace) -> tuple[str, dict]:
    """The name and the point to train."""
    if config.encoding is not None:
        return config.name, {"encoding": list(space.parse(config.encoding))}
    if config.pick not in content["picks"]:
        raise ValueError(f"{config.run} has no pick {config.pick!r}; it has {', '.join(content['picks']) or 'none'}")
    return config.pick, content["picks"][config.pick]


def _files(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / "trained" / f"{name}.safetensors", folder / "trained" / f"{name}.json"


def load_trained(folder: Path, pick: str) -> nn.Module:
    """See `results.load`."""
    run_folder.require(folder)
    path, card = _files(folder, pick)
    if not re.fullmatch(NAME, pick) or not path.exists() or not card.exists():
        trained = sorted(p.stem for p in (folder / "trained").glob("*.json"))
        raise ValueError(
            f"{folder} has no trained {pick!r} (trained are: {', '.join(trained) or 'none'}); "
            f"python results/train.py {folder} --pick {pick} trains it"
        )
    tensors, meta = checkpoint.load(path, "stand-alone")
    space = dict(meta["space"])
    net = search_spaces.load(space.pop("name"), **space).build(meta["encoding"])
    net.load_state_dict(fit.weights(tensors))
    return net.eval()


def main(config: Config) -> None:
    folder = Path(config.run)
    saved, content = run_folder.require(folder), front.load(folder)
    space_spec = dict(saved["space"])
    space = search_spaces.load(space_spec.pop("name"), **space_spec)
    name, point = _chosen(config, content, space)
    known = {f.name for f in fields(DataConfig)}
    settings = {k: v for k, v in saved["settings"]["supernet"].items() if k in known}
    if config.data_root is not None:
        settings["data_root"] = config.data_root
    recipe = config.training.over(RECIPES.get(settings["data"], RECIPES[""]))
    target = config.compute.target()
    data = load(DataConfig(**settings))
    config.compute.set_threads(data.image_size)
    if data.fingerprint() != saved["data"]:
        raise ValueError(f"the images are not those that {folder} searched with; give their place by --data-root")
    report(folder, name, point, space, data.to(target), recipe, config)


def report(
    folder: Path, name: str, point: dict, space: SearchSpace, data: Data, recipe: fit.Recipe, config: Config
) -> None:
    """Trains, tests, writes the card and prints it."""
    seed, context = config.seed, config.compute.context(data.mean.device)
    path, card = _files(folder, name)
    net = space.build(point["encoding"])
    initialise(net, torch.Generator().manual_seed(seed))
    net = net.to(data.mean.device, memory_format=torch.channels_last)
    meta = {"kind": "stand-alone", "space": space.spec, "encoding": point["encoding"], "seed": seed}
    meta["recipe"] = vars(recipe)

    def backward(images, labels, step):
        with context():
            loss = recipe.loss(net(images), labels)
        loss.backward()
        return loss.detach()

    def evaluate(net, images=data.score):
        with context():
            return fit.accuracy(net.eval(), *images, data.normalise).item()

    fit.fit(net, backward, evaluate, data, recipe, seed, path, meta, name)
    score, test = evaluate(net), evaluate(net, data.test)
    madds, params = space.cost([point["encoding"]])[0].tolist()
    content = {**meta, "score_accuracy": score, "test_accuracy": test, "madds": madds, "params": params}
    checkpoint.save_json(card, content)
    print(f"{name}: {space.describe(point['encoding'])}")
    print(f"{madds:,} multiply-adds, {params:,} params")
    if "accuracy" in point:
        print(f"the supernet said   {point['accuracy']:.4f} on the {len(data.score.labels):,} held-out images")
    print(f"stand-alone         {score:.4f} on the same images")
    print(f"stand-alone, test   {test:.4f} on {len(data.test.labels):,} images that no search has seen")
    print(f'written to {path}; in Python: results.load("{folder}", "{name}")')


if __name__ == "__main__":
    command.call(main, Config, __doc__)
