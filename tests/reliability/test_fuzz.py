"""Promise: a damaged file is noticed; nothing is ever silently wrong."""

import shutil

import fuzz
import pytest


@pytest.fixture(scope="module")
def found(whole, tmp_path_factory):
    return fuzz.attack(shutil.copytree(whole, tmp_path_factory.mktemp("fuzz") / "run"), cases=500, seed=0)


def test_five_hundred_damages_are_refused_or_mended_or_change_nothing(found):
    assert found.keys() <= {"same", "refused", "previous"}


def test_most_damages_are_seen_and_the_checkpoint_before_is_used(found):
    assert found["refused"] > 300
    assert found["previous"] > 50
