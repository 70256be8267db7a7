"""Which images of a set, or of two, are told to be one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from resdet.data.formats.folder import read_folder
from resdet.data.inspection.copies import Part, copy_findings, later_copies
from resdet.data.inspection.looks import glance_at, look_at


def test_every_image_is_told_once_by_its_closest_likeness(small_set) -> None:
    first = small_set.path(0).read_bytes()
    small_set.path(2).write_bytes(first)
    small_set.path(4).write_bytes(first + b"\0")  # another file of the same pixels
    looks = look_at(small_set)
    found = {finding.kind: finding.count for finding in copy_findings([Part(small_set, looks, validation=False)])}
    assert found == {"image-twice": 1, "image-nearly-twice": 1}
    assert np.flatnonzero(later_copies(small_set, looks)).tolist() == [2]


def test_across_sets_the_images_of_validation_are_told(small_set) -> None:
    looks = look_at(small_set)
    parts = [Part(small_set, looks, validation=True), Part(small_set, looks, validation=False)]
    for order in (parts, parts[::-1]):
        (finding,) = copy_findings(order)
        assert (finding.kind, finding.count) == ("file-in-train-and-val", len(small_set))


def test_likeness_is_no_word_where_most_images_are_alike(small_set) -> None:
    looks = look_at(small_set)
    alike = replace(looks, fingerprints=np.where(np.arange(30) < 14, looks.fingerprints[0], looks.fingerprints))
    (finding,) = copy_findings([Part(small_set, alike, validation=False)])
    assert (finding.kind, finding.count) == ("image-nearly-twice", 13)
    more = replace(looks, fingerprints=np.where(np.arange(30) < 16, looks.fingerprints[0], looks.fingerprints))
    assert copy_findings([Part(small_set, more, validation=False)]) == []


def test_images_that_cannot_be_used_are_like_none(small_set) -> None:
    for index in (0, 2):
        small_set.path(index).write_bytes(b"broken")
    looks = look_at(small_set)
    assert looks.usable.sum() == 28
    assert len(looks.problems) == 2
    assert copy_findings([Part(small_set, looks, validation=False)]) == []


def test_of_labelled_images_copies_in_two_classes_and_two_parts_are_told(tmp_path: Path, small_set) -> None:
    copies = {  # places of the copies: what is told, by decoding and by a glance at the bytes
        ("train/a/0.jpg", "train/b/0.jpg"): "image-in-two-classes",
        ("train/a/1.jpg", "val/a/1.jpg"): "image-in-train-and-val",
        ("train/a/2.jpg", "train/a/3.jpg"): None,  # in one class of one part
    }
    for number, places in enumerate([*copies, ("train/b/4.jpg",), ("val/b/5.jpg",)]):
        for place in places:
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(small_set.path(number), tmp_path / place)
    sets = [read_folder(tmp_path / name) for name in ("train", "val")]
    for looks in (glance_at(sets), [look_at(each) for each in sets]):
        found = copy_findings([Part(each, look, each is sets[1]) for each, look in zip(sets, looks, strict=True)])
        assert {finding.kind: finding.count for finding in found} == dict.fromkeys(filter(None, copies.values()), 1)
        assert all(str(tmp_path / two) in found[at].where for at, (_, two) in enumerate(list(copies)[:2]))
    usual = np.array(glance_at(sets)[0].usable).tolist()
    assert usual == [True, True, True, True, True, False]  # what has a length of its own is not read
