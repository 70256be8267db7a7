"""CVAT's XML, "CVAT for images 1.1" and "for video 1.1": images or tracks with boxes, polygons and other shapes in pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from resdet.data.convention import Convention
from resdet.data.dataset import DetectionDataset
from resdet.data.formats.annotations import DatasetBuilder
from resdet.data.formats.exports.pictures import Box, Picture, Shape, bounded, dataset_of, expecting, text
from resdet.data.formats.exports.shapes import around, around_ellipse, around_turned
from resdet.data.formats.voc_xml import parse_xml
from resdet.errors import DataError

_NO_AREA = ("points", "polyline", "cuboid", "skeleton")


def read_cvat(root: str | Path, annotations: str | Path, names: Sequence[str] | None = None) -> DetectionDataset:
    """Read CVAT's XML. Polygons, ellipses, masks and turned boxes are read as the upright boxes around them, counted.

    Of tracks, the frames are read in which a track begins, goes on or ends; their images are called as CVAT calls them,
    ``frame_000000`` and so on, with any suffix.

    Args:
        root: the folder below which the images lie.
        annotations: the XML file; entities in it are refused.
        names: class names in label order; those found, sorted, when not given.

    Raises:
        DataError: with every problem of the file and its images.
    """
    path = Path(annotations)
    builder = DatasetBuilder(str(path), Convention.of("cvat"))
    tree = parse_xml(bounded(path), builder.problems)
    if tree is None:
        raise DataError(builder.problems)
    if tree.tag != "annotations":
        raise DataError(f"{path}: must be CVAT's <annotations>, got <{tree.tag:.40}>")
    return dataset_of([*_pictures(tree, builder), *_frames(tree, builder)], root, names, builder)


def _pictures(tree: Element, builder: DatasetBuilder) -> Iterator[Picture]:
    for place, item in enumerate(tree.iter("image"), 1):
        where = f"{builder.source}: image {item.get('id', place)}"
        with expecting("an image of CVAT", where, builder):
            size = int(item.get("height") or 0), int(item.get("width") or 0)
            shapes = [shape for number, each in enumerate(item, 1) if (shape := _shape(each, f"{where}: {number}", builder))]
            yield Picture(where, text(item.get("name")), shapes, size)


def _frames(tree: Element, builder: DatasetBuilder) -> Iterator[Picture]:
    """The frames of a video's tracks."""
    frames: dict[int, list[Shape]] = {}
    for place, track in enumerate(tree.iter("track"), 1):
        where = f"{builder.source}: track {track.get('id', place)}"
        with expecting("a track of CVAT", where, builder):
            for item in track:
                frame = int(item.attrib["frame"])
                item.set("label", track.get("label", ""))
                shape = _shape(item, f"{where}: frame {frame}", builder) if item.get("outside") != "1" else None
                frames.setdefault(frame, []).extend([shape] if shape else [])
    for frame, shapes in sorted(frames.items()):
        yield Picture(f"{builder.source}: frame {frame}", f"frame_{frame:06d}", shapes)


def _shape(item: Element, where: str, builder: DatasetBuilder) -> Shape | None:
    if item.tag == "tag":  # of the whole image
        return None
    if item.tag in _NO_AREA:
        builder.note(f"shapes <{item.tag}> are left out, for they are no boxes", where)
        return None
    if item.tag not in ("box", "polygon", "ellipse", "mask"):
        raise ValueError(f"<{item.tag:.40}> is no shape that is known")
    box = _box(item)
    turn = float(item.get("rotation") or 0)
    if turn % 360 and item.tag == "box":
        box = around_turned(box, turn, (box[0] + box[2] / 2, box[1] + box[3] / 2))
        builder.note("turned boxes are read as the upright boxes around them", where)
    elif item.tag != "box":
        builder.note(f"shapes <{item.tag}> are read as the boxes around them", where)
    return Shape(where, text(item.get("label")), box)


def _box(item: Element) -> Box:
    def value(key: str) -> float:
        return float(item.attrib[key])

    if item.tag == "polygon":
        return around([float(number) for number in point.split(",")] for point in item.attrib["points"].split(";"))
    if item.tag == "ellipse":
        return around_ellipse(value("cx"), value("cy"), value("rx"), value("ry"), float(item.get("rotation") or 0))
    if item.tag == "mask":
        return value("left"), value("top"), value("width"), value("height")
    return value("xtl"), value("ytl"), value("xbr") - value("xtl"), value("ybr") - value("ytl")
