"""Ways to plant one mistake in a good set."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from good_set import Change, GoodSet, Photo, Thing, encoded, scene
from PIL import Image


class Mistake(NamedTuple):
    """What plants a mistake in a set of a format, what is said of it, where, and with which exit status.

    ``after`` changes the files that were written, ``before`` what is written; ``options`` go on the command line.
    """

    form: str
    says: str
    place: str
    before: Change = lambda good: None
    after: Change = lambda good: None
    status: int = 0
    options: tuple[str, ...] = ()


def every(raw) -> Change:
    """Write all objects of training with other numbers, made of (x, y, w, h) and the image's (width, height)."""

    def change(good: GoodSet) -> None:
        for photo, thing in good.things:
            thing.raw = raw(*thing.box, photo.width, photo.height)

    return change


def moved(side: str, distance: float, count: int = 4, at: int = 4) -> Change:
    """Put an edge of ``count`` objects so far inside of that edge of their images."""

    def change(good: GoodSet) -> None:
        for photo in good.train[at : at + count]:
            x, y, w, h = photo.things[1].box
            axis = side in ("top", "bottom")
            at_end = (photo.height - h if axis else photo.width - w) - distance
            value = distance if side in ("left", "top") else at_end
            photo.things[1].box = [x, value, w, h] if axis else [value, y, w, h]

    return change


def box(*numbers: float, raw: tuple[float, ...] | None = None) -> Change:
    def change(good: GoodSet) -> None:
        good.train[3].things[2] = Thing(2, list(numbers), raw)

    return change


def all_of(*changes: Change) -> Change:
    return lambda good: [change(good) for change in changes]


def shrunk(label: int) -> Change:
    def change(good: GoodSet) -> None:
        for _, thing in good.things:
            if thing.label == label:
                thing.box[2:] = [4, 4]

    return change


def keep(label: int, count: int, part: str = "train") -> Change:
    """Leave ``count`` objects of a class."""

    def change(good: GoodSet) -> None:
        seen = 0
        for photo in good.parts[part]:
            mine = [thing for thing in photo.things if thing.label == label]
            drop = mine[max(0, count - seen) :]
            seen += len(mine)
            photo.things = [thing for thing in photo.things if not any(thing is other for other in drop)]

    return change


def add(part: str, name: str, content, things: int = 1) -> Change:
    """Add a photo, of the objects of the first of training, with the content that a function of the set makes."""

    def change(good: GoodSet) -> None:
        first = good.train[0]
        good.parts[part].append(Photo(name, content(good), first.width, first.height, first.things[:things]))

    return change


def replaced(content, index: int = 3) -> Change:
    def change(good: GoodSet) -> None:
        photo = good.train[index]
        photo.content = content((photo.width, photo.height))

    return change


def named(*names: str, label: int | None = None) -> Change:
    """Other names; ``label``: every second object of class 0 gets it."""

    def change(good: GoodSet) -> None:
        good.names = list(names)
        if label is not None:
            for photos in good.parts.values():
                for photo in photos[::2]:
                    photo.things[0].label = label

    return change


def saved_again(good: GoodSet) -> bytes:
    return encoded(scene(0, (good.train[0].width, good.train[0].height)), quality=35)


def deep(greatest: int):
    def content(size) -> bytes:
        values = np.asarray(scene(77, size).convert("L")).astype(np.uint32) * greatest // 255
        return encoded(Image.fromarray(values.astype(np.uint16)), "PNG")

    return content


def turned(orientation: int):
    """A photo whose stored pixels and EXIF mark give the same upright picture size."""

    def content(size) -> bytes:
        stored = scene(55, size if orientation < 5 else size[::-1])
        exif = Image.Exif()
        exif[0x0112] = orientation
        return encoded(stored, exif=exif)

    return content


def resized_annotation(good: GoodSet) -> None:
    photo = good.train[3]
    photo.width, photo.height = photo.height, photo.width
    photo.things = [Thing(2, [1, 1, 30, 30])]


def bytes_cut(good: GoodSet) -> None:
    path = good.image_path("train", good.train[3])
    path.write_bytes(path.read_bytes()[:-400])


def one_file_two_ids(good: GoodSet) -> None:
    text = (good.folder / "train.json").read_text()
    good.text("train.json", text.replace('"train06.jpg"', '"train04.jpg"'))


def many(label: int, times: int) -> Change:
    """Add ``times`` objects of a class to each photo of training."""

    def change(good: GoodSet) -> None:
        for photo in good.train:
            photo.things += [Thing(label, [3 + step, 5 + 4 * step, 28 + step, 31 - step]) for step in range(times)]

    return change


def twice(label: int, shift: float = 0.0) -> Change:
    """Write the first object of an image once more, as one of class ``label``, moved by ``shift`` pixels."""

    def change(good: GoodSet) -> None:
        x, y, w, h = good.train[3].things[0].box
        good.train[3].things.append(Thing(label, [x + shift, y + shift, w, h]))

    return change


def enlarged(times: int, at: int = 3) -> Change:
    def change(good: GoodSet) -> None:
        photo = good.train[at]
        photo.width, photo.height = times * photo.width, times * photo.height
        photo.content = encoded(scene(999 + at - 3, (photo.width, photo.height)))
        for thing in photo.things:
            thing.box = [times * value for value in thing.box]

    return change


def to_the_right(good: GoodSet) -> None:
    """Put the first object of an image where no image of the other shape reaches."""
    good.train[2].things[0].box = [99, 40, 25, 30]
