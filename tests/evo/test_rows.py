import numpy as np

from evo.rows import Rows


def test_rows_grow_to_what_concatenation_gives_and_views_keep_their_values(rng):
    rows, blocks, views = Rows(), [], []
    for n in (3, 0, 1, 40, 7, 500):
        blocks.append(rng.integers(9, size=(n, 4)))
        views.append((rows.append(blocks[-1]), np.concatenate(blocks)))
    assert all((view == whole).all() and view.dtype == whole.dtype for view, whole in views)
