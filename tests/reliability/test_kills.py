"""Promise: a kill at any moment of any command loses nothing but the interval it was in."""

import kills
import pytest


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("kills")


@pytest.fixture(scope="module")
def attacked(server, home):
    return kills.attack(server, home, kills=20, seed=0)


def test_twenty_kills_change_no_bit_of_what_is_left_in_the_end(attacked):
    assert attacked.kills == 20
    assert attacked.different == []


def test_nothing_but_the_interval_of_the_kill_is_repeated(attacked):
    assert attacked.repeated <= 0


def test_kills_hit_files_between_write_and_rename_and_commits(attacked):
    kinds = {moment.partition(" ")[0] for moment in attacked.moments}
    assert {"open", "rename", "commit"} <= kinds
    assert len({moment.partition(" ")[2] for moment in attacked.moments}) >= 5


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(server, attacked, home, whole, tmp_path):
    assert kills.final(home / "whole") == kills.final(whole)
    assert server.run(tmp_path / "other", seed=1).code == 0
    first, second = kills.final(tmp_path / "other"), kills.final(whole)
    for name in ("supernet.safetensors", "proposer-darts.safetensors", "archive", "hypervolumes"):
        assert first[name] != second[name]
