import numpy as np
import pytest

import search_spaces
from evo.correction import Correction, Trained
from evo.mending import Mending
from results import judged
from results.judged import Judged, Reading
from supernet import train
from supernet.compute import Compute

SPACE = search_spaces.load("digits")
ENCODINGS = SPACE.sample(np.random.default_rng(0), 6)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Three epochs, each kept."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    flags = "--snapshots 1 --epochs 3 --batch-size 32 --train-images 64 --threads 1"
    train.main(train.command.parse(train.Config, ["--run", str(folder), *flags.split()], ""))
    return folder


def read(run, **reading) -> Judged:
    return Judged(str(run), Reading(recalibrate=0, **reading), Compute(threads=1))


def test_averages_are_means_over_the_last_epochs(run):
    single = read(run).along(ENCODINGS)
    averaged = read(run, average=2).along(ENCODINGS)
    assert list(single) == [1, 2, 3]
    assert list(averaged) == [2, 3]
    for epoch, scores in averaged.items():
        assert scores == pytest.approx((single[epoch - 1] + single[epoch]) / 2)
    assert (read(run, average=2).scores(ENCODINGS) == averaged[3]).all()


def test_by_loss_likelihoods_are_read_and_kept_beside_accuracies(run):
    accuracies, likelihoods = (read(run, by_loss=way).scores(ENCODINGS) for way in (False, True))
    assert ((likelihoods > 0) & (likelihoods < 1) & (likelihoods != accuracies)).all()
    assert (read(run).scores(ENCODINGS) == accuracies).all()


def test_more_epochs_than_were_kept_cannot_be_averaged(run):
    with pytest.raises(ValueError, match=r"--average 9 needs as many epochs, .* kept 3: train with --snapshots"):
        read(run, average=9).scores(ENCODINGS)


def test_scores_are_kept_in_pieces_and_read_again(run, monkeypatch):
    whole = read(run).scores(ENCODINGS)
    monkeypatch.setattr(judged, "PIECE", 2)
    assert (read(run).scores(ENCODINGS) == whole).all()
    monkeypatch.setattr(train, "make_oracle", None)  # nothing is left to score
    assert (read(run).scores(ENCODINGS) == whole).all()


def test_smoothing_is_that_of_a_search_with_this_seed(run):
    net = read(run, mending=Mending(20))
    drawn = np.unique(SPACE.sample(np.random.default_rng(net.config.seed), 20), axis=0)
    expected = Correction(SPACE, Trained(drawn, net.scores(drawn)))(ENCODINGS)
    assert (net.mended(ENCODINGS) == expected).all()
    assert (expected != net.scores(ENCODINGS)).any()


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        ({"recalibrate": 1}, "--recalibrate must be 0 or at least 2, got 1"),
        ({"recalibrate": 100, "batch_statistics": True}, "--batch-statistics and --recalibrate"),
        ({"average": 0}, "--average >= 1"),
        ({"finetune": -1}, "--finetune >= 0"),
    ],
)
def test_wrong_readings(reading, message):
    with pytest.raises(ValueError, match=message):
        Reading(**reading)
