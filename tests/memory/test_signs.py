"""The coarse pass: rotation, signs, and the table of them."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caxton.memory.signs import BLOCK, SignTable, rotation, signs, words_for


def unit(random, count, dimension=64):
    rows = random.standard_normal((count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("dimension", [1, 3, 64, 100, 384])
def test_the_rotation_is_one(dimension):
    axes = rotation(dimension)
    assert np.allclose(axes @ axes.T, np.eye(dimension), atol=1e-5)


def test_the_rotation_never_changes():
    """Signs on disk were taken in these axes; the numbers are those of the first release, coarsely rounded."""
    rounded = np.round(rotation(8) * 100).astype(np.int8)
    assert hashlib.sha256(rounded.tobytes()).hexdigest()[:16] == "95b165b160b15be4"


@given(dimension=st.integers(1, 150), count=st.integers(1, 20), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_signs_taken_together_or_alone_are_the_same_and_differ_from_their_opposites_everywhere(dimension, count, seed):
    rows = unit(np.random.default_rng(seed), count, dimension)
    centre = np.zeros(dimension, dtype=np.float32)
    together = signs(rows, centre)
    assert together.shape == (words_for(dimension), count)
    alone = signs(rows[:1], centre)[:, 0]
    assert np.bitwise_count(together[:, 0] ^ alone).sum() <= 1  # an axis may lie on the border, but for rounding
    assert np.bitwise_count(signs(-rows[:1], centre)[:, 0] ^ alone).sum() >= dimension - 1


def test_the_nearest_have_the_most_signs_in_common():
    random = np.random.default_rng(3)
    rows = unit(random, 3 * BLOCK + 17)
    centre = rows.mean(axis=0)
    table = SignTable(centre)
    for first in range(0, len(rows), 5000):
        some = rows[first : first + 5000]
        table.add(np.arange(first, first + len(some)) + 10, signs(some, centre))
    query = rows[20_000] + 0.01 * unit(random, 1)[0]
    apart = np.bitwise_count(table.signs ^ signs(query[None], centre)).sum(axis=0)
    found = table.nearest(query, 50) - 10
    assert 50 <= len(found) < 200
    assert 20_000 in found
    assert apart[found].max() < np.delete(apart, found).min()


def test_a_mask_leaves_only_what_it_allows():
    random = np.random.default_rng(4)
    rows = unit(random, 1000)
    table = SignTable(np.zeros(64, dtype=np.float32))
    table.add(np.arange(1000), signs(rows, table.centre))
    mask = np.zeros(1000, dtype=bool)
    mask[[1, 5, 700]] = True
    assert set(table.nearest(rows[5], 2, mask)) <= {1, 5, 700}
    assert set(table.nearest(rows[5], 5000, mask)) == {1, 5, 700}
    assert len(table.nearest(rows[5], 5, np.zeros(1000, dtype=bool))) == 0


def test_what_is_dropped_is_found_no_more_and_more_can_be_added():
    random = np.random.default_rng(5)
    rows = unit(random, 300)
    table = SignTable(np.zeros(64, dtype=np.float32))
    table.add(np.arange(200), signs(rows[:200], table.centre))
    table.keep(np.arange(200) % 2 == 0)
    table.add(np.arange(200, 300), signs(rows[200:], table.centre))
    assert len(table) == 200
    assert table.numbers.tolist() == [*range(0, 200, 2), *range(200, 300)]
    assert 7 not in table.nearest(rows[7], 10)
    assert 250 in table.nearest(rows[250], 1)
