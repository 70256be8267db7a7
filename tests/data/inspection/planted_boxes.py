"""Mistakes in boxes, and what `data check` says of each."""

from __future__ import annotations

from planting import Mistake, all_of, box, every, moved, shrunk, to_the_right, twice

IMAGE = r"train03\.jpg"
THIRD = IMAGE + r": object 3 \((annotation id 12, )?'quince'\)"
OF_BOXES = {
    # one convention taken for another
    "fractions in COCO": Mistake(
        "coco",
        r"90 boxes lie within the first pixel.*fractions",
        r"train00\.jpg: object 1",
        every(lambda x, y, w, h, wide, high: (x / wide, y / high, w / wide, h / high)),
    ),
    "fractions in some of COCO": Mistake("coco", r"1 boxes lie within the first pixel", THIRD, box(0.2, 0.3, 0.25, 0.5)),
    "fractions divided twice in YOLO": Mistake(
        "yolo",
        r"90 boxes lie within the first pixel",
        r"train00\.jpg: object 1",
        every(
            lambda x, y, w, h, wide, high: (
                (x + w / 2) / wide / wide,
                (y + h / 2) / high / high,
                w / wide / wide,
                h / high / high,
            )
        ),
    ),
    "pixels in YOLO": Mistake(
        "yolo",
        r"outside its image|above 1",
        r"train00\.txt",
        every(lambda x, y, w, h, wide, high: (x + w / 2, y + h / 2, w, h)),
        status=3,
    ),
    "thousandths in COCO": Mistake(
        "coco",
        r"read as thousandths of the sides",
        r"annotation id",
        every(lambda x, y, w, h, wide, high: (1000 * x / wide, 1000 * y / high, 1000 * w / wide, 1000 * h / high)),
        status=3,
    ),
    "corners of small objects in COCO, near the left and the top": Mistake(
        "coco",
        r"90 boxes seem to be corners x1, y1, x2, y2",
        r"train00\.jpg: object 1",
        every(lambda x, y, w, h, wide, high: (x / 3, y / 3, x / 3 + 9, y / 3 + 9)),
    ),
    "corners in COCO": Mistake(
        "coco",
        r"\d+ of 90 boxes leave.*read as corners x1, y1, x2, y2",
        r"train0\d\.jpg: object",
        every(lambda x, y, w, h, wide, high: (x, y, x + w, y + h)),
    ),
    "corners, y before x, in COCO": Mistake(
        "coco",
        r"read as corners y1, x1, y2, x2",
        r"train0\d\.jpg: object",
        every(lambda x, y, w, h, wide, high: (y, x, y + h, x + w)),
    ),
    "corners in YOLO": Mistake(
        "yolo",
        r"read as corners x1, y1, x2, y2",
        r"train0\d\.jpg: object",
        every(lambda x, y, w, h, wide, high: (x / wide, y / high, (x + w) / wide, (y + h) / high)),
    ),
    "left and top in YOLO": Mistake(
        "yolo",
        r"read as left, top, width, height",
        r"train0\d\.jpg: object",
        every(lambda x, y, w, h, wide, high: (x / wide, y / high, w / wide, h / high)),
    ),
    "centres in COCO": Mistake(
        "coco",
        r"read as centre and size",
        r"train0\d\.jpg: object",
        every(lambda x, y, w, h, wide, high: (x + w / 2, y + h / 2, w, h)),
    ),
    "swapped axes in COCO": Mistake(
        "coco",
        r"read as y, x, height, width",
        r"train0\d\.jpg: object",
        every(lambda x, y, w, h, wide, high: (y, min(x, high - 9), h, w)),
    ),
    "swapped axes in COCO, far outside": Mistake(
        "coco",
        r"outside its image of .*; all 90 boxes lie inside when read as y, x, height, width",
        r"annotation id 7",
        all_of(to_the_right, every(lambda x, y, w, h, wide, high: (y, x, h, w))),
        status=3,
    ),
    "width and height in place of corners in VOC": Mistake(
        "voc",
        r"positive width and height",
        r"train00\.xml: object \d",
        every(lambda x, y, w, h, wide, high: (x + 1, y + 1, w, h)),
        status=3,
    ),
    # off by one
    "VOC counted from 0": Mistake(
        "voc",
        r"\d+ boxes begin a pixel before the first",
        r"train0\d\.jpg: object 1",
        every(lambda x, y, w, h, wide, high: (x, y, x + w - 1, y + h - 1)),
    ),
    "VOC with an end too far": Mistake(
        "voc", r"4 boxes end a pixel behind the last", r"train04\.jpg: object 2", moved("right", -1)
    ),
    "COCO counted from 1": Mistake(
        "coco",
        r"\d+ boxes begin at the second pixel, and none at the first",
        r"train0\d\.jpg: object 1",
        every(lambda x, y, w, h, wide, high: (x + 1, y + 1, w, h)),
    ),
    "COCO without the last pixel": Mistake(
        "coco", r"1[0-9] boxes end a pixel before the last", r"train04\.jpg: object 2", moved("bottom", 1, 10)
    ),
    # single boxes
    "left of the image": Mistake("coco", r"1 boxes reach out .* by 5 pixels at most", THIRD, box(-5, 9, 30, 30)),
    "above the image": Mistake("voc", r"1 boxes reach out .* by 5 pixels at most", THIRD, box(9, -5, 30, 30)),
    "right of the image": Mistake("yolo", r"1 boxes reach out .* by 14 pixels at most", THIRD, box(80, 9, 30, 30)),
    "below the image": Mistake("coco", r"1 boxes reach out .* by 2.5 pixels at most", THIRD, box(9, 96.5, 30, 30)),
    "wholly outside": Mistake("coco", r"box lies wholly outside its image", r"annotation id 12", box(400, 9, 30, 30), status=3),
    "a side of 0": Mistake("coco", r"1 boxes without area", THIRD, box(9, 9, 0, 30)),
    "a negative side": Mistake("coco", r"positive width and height", r"annotation id 12", box(9, 9, -3, 30), status=3),
    "no number": Mistake(
        "yolo", r"must be finite", r"train03\.txt: line 3", box(9, 9, 9, 9, raw=(float("nan"), 0.5, 0.1, 0.1)), status=3
    ),
    "xmin = xmax in VOC": Mistake(
        "voc",
        r"1 boxes are a pixel wide or high at most \(VOC's xmin = xmax is one pixel",
        THIRD,
        box(9, 9, 9, 9, raw=(40, 20, 40, 50)),
    ),
    "a side of 1 in COCO": Mistake("coco", r"1 boxes are a pixel wide or high", THIRD, box(9, 9, 30, 1)),
    "an object twice in COCO": Mistake(
        "coco", r"1 objects repeat another", r"train03\.jpg: object 4 \(annotation id 13", twice(0)
    ),
    "a row twice in YOLO": Mistake("yolo", r"1 objects repeat another|repeat", r"train03", twice(0)),
    "an object twice in VOC": Mistake("voc", r"1 objects repeat another", r"train03\.jpg: object 4", twice(0)),
    "an object nearly twice": Mistake(
        "coco", r"1 objects overlap another of the same class", r"train03\.jpg: object 4", twice(0, 0.2)
    ),
    "a box of two classes": Mistake(
        "coco", r"1 objects have the box of another class's object", r"train03\.jpg: object 4", twice(1)
    ),
    # how large objects are for the network
    "small objects": Mistake(
        "coco",
        r"30 objects of 1 classes are small at shorter side 600, .* 'pear' 25, .*short_side to 768, or add an anchor: model"
        r"\.anchors\.sizes=\[28,32,",
        r"train\d\d\.jpg: object 2",
        shrunk(1),
    ),
    "a picture too small for its objects": Mistake(
        "coco",
        r"90 objects of 3 classes are small at shorter side 48.*raise data\.short_side",
        r"train\d\d\.jpg: object",
        options=("data.short_side=[48]",),
    ),
    "anchors too large": Mistake(
        "coco",
        r"no anchor overlaps \d+ of 90 objects by an IoU of 0\.5.*model\.anchors\.sizes=\[1\d\d,",
        r"train\d\d\.jpg: object",
        options=("model.anchors.sizes=[16,512]",),
    ),
}
