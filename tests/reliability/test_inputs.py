"""Promise: wrong input of every kind ends in one line."""

import inputs
import pytest


@pytest.mark.parametrize("attack", inputs.ATTACKS, ids=lambda attack: attack.__name__)
def test_any_input_gives_an_answer_or_one_line(attack):
    slow = (inputs.encodings, inputs.files_of_a_run, inputs.images)
    inputs.attack(attack, 15 if attack in slow else 50)
