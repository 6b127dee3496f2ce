import shutil
import sys

import pytest

from results import front, reading, report


def test_tensorboard_has_the_runs_curves(script, run_copy):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for _ in range(2):  # made anew, not added to
        outcome = script(report, run_copy, "--tensorboard")
        assert outcome.code == 0, outcome.err
    events = accumulator.EventAccumulator(str(run_copy / "tensorboard")).Reload()
    run = reading.read(run_copy)
    losses = [event.value for event in events.Scalars("supernet/loss")]
    assert losses == pytest.approx([row["loss"] for row in run.supernet])
    assert events.Scalars("search/hypervolume of all")[-1].step == len(run.scored.rows)


def test_tensorboard_has_how_relaxations_fared(script, cell_run, tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = shutil.copytree(cell_run, tmp_path / "run")
    assert script(report, run, "--tensorboard").code == 0
    events = accumulator.EventAccumulator(str(run / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("darts/eigenvalue")] == [1, 3]


def test_the_optuna_study_has_cells_too(script, cell_run, tmp_path):
    pytest.importorskip("optuna")
    run = shutil.copytree(cell_run, tmp_path / "run")
    assert script(report, run, "--optuna").code == 0
    text = (run / "optuna.journal").read_text()
    assert "slot 01, on the edge" in text
    assert "sep_conv_3x3" in text


def test_the_optuna_study_has_the_runs_front(script, run_copy):
    optuna = pytest.importorskip("optuna")
    for _ in range(2):  # written anew, not twice
        outcome = script(report, run_copy, "--optuna")
        assert outcome.code == 0, outcome.err
    backend = optuna.storages.journal.JournalFileBackend(str(run_copy / "optuna.journal"))
    storage = optuna.storages.JournalStorage(backend)
    study = optuna.load_study(study_name=run_copy.name, storage=storage)
    run = reading.read(run_copy)
    assert len(study.trials) == len(run.scored.rows)
    best = sorted(trial.user_attrs["encoding"] for trial in study.best_trials)
    assert best == sorted(point["encoding"] for point in front.load(run_copy)["front"])
    words = list(study.trials[0].params.values())
    assert run.space.parse(" ".join(words)) == tuple(study.trials[0].user_attrs["encoding"])


@pytest.mark.parametrize("name", ["tensorboard", "optuna"])
def test_missing_packages_are_named_with_their_extra(script, run_copy, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    outcome = script(report, run_copy, f"--{name}")
    assert outcome.code == 2
    assert f"{name} is not installed" in outcome.err
    assert 'pip install -e ".[tools]"' in outcome.err
