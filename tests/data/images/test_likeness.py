"""Fingerprints of pictures, and the groups of those that look alike."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from resdet.data.images import likeness
from resdet.data.images.likeness import alike, fingerprint


def brute_force(prints, distance):
    """The first member of each print's group, by comparing all pairs and following all chains."""
    near = [[(a ^ b).bit_count() <= distance for b in prints] for a in prints]
    groups = []
    for start in range(len(prints)):
        reached, left = {start}, [start]
        while left:
            row = near[left.pop()]
            fresh = {other for other, close in enumerate(row) if close} - reached
            reached |= fresh
            left += fresh
        groups.append(min(reached))
    return groups


def some_prints(rng, bases=60, copies=4, flips=5):
    """Prints of which many are a few bits away from another."""
    prints = [int(value) for value in rng.integers(0, 2**64, bases, dtype=np.uint64)]
    for _ in range(bases * copies):
        changed = prints[rng.integers(len(prints))]
        for bit in rng.integers(0, 64, rng.integers(0, flips + 1)):
            changed ^= 1 << int(bit)
        prints.append(changed)
    return [prints[place] for place in rng.permutation(len(prints))]


@pytest.mark.parametrize("distance", [0, 1, 2, 4, 7, 63])
def test_groups_are_those_of_brute_force(distance):
    prints = some_prints(np.random.default_rng(distance))
    assert alike(prints, distance).tolist() == brute_force(prints, distance)


def test_groups_do_not_depend_on_how_many_pairs_are_compared_at_once(monkeypatch):
    prints = some_prints(np.random.default_rng(1))
    whole = alike(prints).tolist()
    monkeypatch.setattr(likeness, "_BLOCK", 7)
    assert alike(prints).tolist() == whole


def test_a_chain_is_one_group_and_strangers_stay_alone():
    chain = [(1 << 3 * step) - 1 for step in range(8)]  # three bits from one to the next
    assert alike([*chain, 2**64 - 1], 3).tolist() == [0] * 8 + [8]


@pytest.mark.parametrize(("prints", "groups"), [([], []), ([5], [0]), ([2**64 - 1, 0, 2**64 - 1], [0, 1, 0])])
def test_few_prints(prints, groups):
    assert alike(prints).tolist() == groups


@pytest.mark.parametrize("distance", [-1, 64])
def test_a_distance_out_of_range_is_refused(distance):
    with pytest.raises(ValueError, match=f"0 … 63 bits, got {distance}"):
        alike([1], distance)


def test_bits_say_which_cell_is_brighter_than_its_left_neighbour():
    cells = np.random.default_rng(0).permutation(72).reshape(8, 9).astype(np.uint8)
    pixels = np.repeat(np.repeat(np.repeat(cells[:, :, None], 3, 2), 5, 0), 4, 1)
    bits = [row[x + 1] > row[x] for row, x in itertools.product(cells.tolist(), range(8))]
    assert f"{fingerprint(pixels):064b}" == "".join("01"[bit] for bit in bits)


def scene(seed):
    """A smooth random picture, 240 x 320."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)


def saved_again(image, scale, quality):
    file = io.BytesIO()
    image.resize((round(image.width * scale), round(image.height * scale))).save(file, "JPEG", quality=quality)
    return Image.open(file)


def test_copies_at_other_sizes_qualities_and_brightness_are_alike_and_other_scenes_are_not():
    scenes = [scene(seed) for seed in range(20)]
    copies = [
        saved_again(image, scale, quality) for image, (scale, quality) in zip(scenes, itertools.cycle([(0.5, 60), (1.3, 30)]))
    ]
    darker = [image.point(lambda value: round(value * 0.8)) for image in scenes]
    prints = [fingerprint(np.asarray(image)) for image in [*scenes, *copies, *darker]]
    assert alike(prints).tolist() == [*range(20)] * 3
