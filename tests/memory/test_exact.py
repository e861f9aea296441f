"""The vectors of a small space, compared one by one."""

import numpy as np

from caxton.memory.exact import ExactTable


def rows(count, seed=1):
    made = np.random.default_rng(seed).standard_normal((count, 16)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_the_nearest_are_exact_however_they_came():
    held = rows(500)
    table = ExactTable(16)
    first = 0
    for size in (1, 2, 50, 0, 447):
        table.add(np.arange(first, first + size) + 1000, held[first : first + size])
        first += size
    (query,) = rows(1, seed=2)
    scores = held @ query
    best = table.nearest(query, 10, None)
    assert {number - 1000 for number in best} == set(np.argsort(-scores)[:10].tolist())
    assert all(abs(score - scores[number - 1000]) < 1e-5 for number, score in best.items())


def test_masks_and_drops_leave_what_they_allow():
    held = rows(100)
    table = ExactTable(16)
    table.add(np.arange(100), held)
    mask = np.arange(100) < 3
    assert set(table.nearest(held[50], 10, mask)) == {0, 1, 2}
    table.keep(~mask)
    assert len(table) == 97
    assert set(table.nearest(held[0], 1000, None)) == set(range(3, 100))
    table.keep(np.zeros(97, dtype=bool))
    assert table.nearest(held[0], 5, None) == {}
