"""A run for tools that people have already: TensorBoard's scalars, an Optuna study (optuna-dashboard shows its front).

Both packages are an extra: pip install -e ".[tools]".
"""

import importlib
from pathlib import Path

from results import curves
from results.reading import Run

EXTRA = 'pip install -e ".[tools]" installs it'


def _package(name: str):
    """ValueError says which extra to install if the package is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(f"{name} is not installed ({error}): {EXTRA}") from error


def tensorboard(run: Run, folder: Path) -> Path:
    """Figures of every training and relaxation by epoch, hypervolume of every proposer by evaluations; made anew."""
    _package("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    for before in folder.glob("events.out.tfevents.*"):
        before.unlink()
    trainings = {"supernet": run.supernet} | {name: card.get("history", []) for name, card in run.trained.items()}
    with SummaryWriter(str(folder)) as writer:
        for name, history in trainings.items():
            for epoch, row in enumerate(history, 1):
                for figure in ("loss", "accuracy"):
                    writer.add_scalar(f"{name}/{figure}", row[figure], epoch)
        for name, relaxed in run.relaxations.items():
            for figure, rows in relaxed.curves.items():
                for epoch, value in rows:
                    writer.add_scalar(f"{name}/{figure}", value, epoch)
        for name, curve in curves.convergence(run.scored, run.objectives, run.limits, run.names).items():
            for evaluations, share in curve:
                writer.add_scalar(f"search/hypervolume of {name}", share, int(evaluations))
    return folder


def optuna(run: Run, path: Path) -> Path:
    """Every architecture scored as a finished trial of one study, decisions as its parameters; `path` is made anew."""
    package = _package("optuna")
    package.logging.set_verbosity(package.logging.WARNING)
    path.unlink(missing_ok=True)
    storage = package.storages.JournalStorage(package.storages.journal.JournalFileBackend(str(path)))
    directions = ["maximize" if objective.direction == "max" else "minimize" for objective in run.objectives]
    study = package.create_study(storage=storage, study_name=run.folder.resolve().name, directions=directions)
    study.set_user_attr("objectives", [objective.name for objective in run.objectives])
    study.add_trials(_trials(package, run))
    return path


def _trials(package, run: Run) -> list:
    named = curves.decisions(run.space) if run.space else []
    choices = {decision.name: package.distributions.CategoricalDistribution(decision.options) for decision in named}
    columns = [run.names.index(objective.name) for objective in run.objectives]
    return [
        package.trial.create_trial(
            params={decision.name: decision.options[encoding[k]] for k, decision in enumerate(named)},
            distributions=choices,
            values=row[columns].tolist(),
            user_attrs={"proposer": proposer, "encoding": encoding.tolist()},
        )
        for encoding, row, proposer in zip(*run.scored, strict=True)
    ]
