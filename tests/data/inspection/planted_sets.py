"""Mistakes in classes and images, and what `data check` says of each."""

from __future__ import annotations

from good_set import encoded
from PIL import Image
from planting import (
    Mistake,
    add,
    all_of,
    bytes_cut,
    deep,
    enlarged,
    keep,
    many,
    named,
    one_file_two_ids,
    replaced,
    resized_annotation,
    saved_again,
    turned,
)

IMAGE = r"train03\.jpg"
OF_SETS = {
    # classes
    "a class without objects": Mistake(
        "coco", r"data: 1 of 4 classes have no object \('medlar'\)", r"train\.json", named("apple", "pear", "quince", "medlar")
    ),
    "classes out of balance": Mistake(
        "coco",
        r"1 classes have 10 times fewer objects than 'apple' \(210\): 'quince' 10: .*repeat_thresh",
        r"train\.json",
        all_of(keep(2, 10), many(0, 6)),
    ),
    "a class that only validation has": Mistake(
        "coco", r"1 of 3 classes have objects in validation and none in training \('quince'\)", r"val\.json", keep(2, 0)
    ),
    "a class that validation lacks": Mistake(
        "coco", r"1 of 3 classes have no object in validation.*\('quince'\)", r"val\.json", keep(2, 0, "val")
    ),
    "names that differ by case": Mistake(
        "coco",
        r"1 pairs of classes have names that differ only in case.*\('apple', 'Apple'\)",
        r"train\.json",
        named("apple", "pear", "quince", "Apple", label=3),
    ),
    "names that differ by a space": Mistake(
        "yolo",
        r"only in case, spaces or signs \('red apple', 'red_apple'\)",
        r"data\.yaml",
        named("red apple", "pear", "quince", "red_apple", label=3),
    ),
    "names that differ by a plural": Mistake(
        "voc", r"by a letter or two.*\('apple', 'apples'\)", r"train\.txt", named("apple", "pear", "quince", "apples", label=3)
    ),
    "names that differ by a slip": Mistake(
        "coco",
        r"by a letter or two.*\('quince', 'qiunce'\)",
        r"train\.json",
        named("apple", "pear", "quince", "qiunce", label=3),
    ),
    "a class called background": Mistake(
        "coco", r"'background' is a class", r"train\.json", named("background", "pear", "quince")
    ),
    "nc against names": Mistake(
        "yolo",
        r"'nc' is 5, and there are 3 names",
        r"data\.yaml",
        after=lambda good: good.text("data.yaml", "nc: 5  # all\nnames: [apple, pear, quince]\n"),
    ),
    # images
    "most images without objects": Mistake(
        "yolo",
        r"20 of 30 images have no object",
        r"train10\.jpg",
        lambda good: [photo.things.clear() for photo in good.train[10:]],
        lambda good: [path.unlink() for path in good.folder.rglob("*.txt") if not path.stat().st_size],
    ),
    "a file under two ids": Mistake(
        "coco",
        r"image id 7: its file is that of image id 5 too",
        r"train04\.jpg",
        after=one_file_two_ids,
        status=3,
    ),
    "an image twice": Mistake(
        "coco",
        r"1 images are copies of another",
        r"copy\.jpg .*and train00\.jpg",
        add("train", "copy.jpg", lambda good: good.train[0].content),
    ),
    "an image in train and val": Mistake(
        "coco",
        r"1 images of validation are copies of one in training",
        r"copy\.jpg .*train00\.jpg",
        add("val", "copy.jpg", lambda good: good.train[0].content),
    ),
    "a name in train and val": Mistake(
        "voc",
        r"1 images of validation are in training",
        r"train00\.jpg and train00\.jpg",
        lambda good: good.parts["val"].append(good.train[0]),
    ),
    "an image saved again": Mistake(
        "yolo", r"1 images look nearly like another", r"train00\.jpg and again\.jpg", add("train", "again.jpg", saved_again)
    ),
    "an image saved again in val": Mistake(
        "coco",
        r"1 images of validation look nearly like one in training",
        r"again\.jpg .*train00\.jpg",
        add("val", "again.jpg", saved_again),
    ),
    "a photo on its side in YOLO": Mistake(
        "yolo", r"1 images are turned upright by their EXIF mark", IMAGE, replaced(turned(6))
    ),
    "a photo upside down": Mistake("voc", r"1 images are turned upright by their EXIF mark", IMAGE, replaced(turned(3))),
    "a photo on its side, labelled unturned": Mistake(
        "coco",
        r"seems to belong to the image before its EXIF rotation",
        IMAGE,
        all_of(replaced(turned(6)), resized_annotation),
        status=3,
    ),
    "a wrong size": Mistake("coco", r"its annotation says", IMAGE, resized_annotation, status=3),
    "a truncated file": Mistake("voc", r"image file is truncated", IMAGE, after=bytes_cut, status=3),
    "no image": Mistake("yolo", r"cannot be read as an image", IMAGE, replaced(lambda size: b"hello"), status=3),
    "16 bits that hold 12": Mistake(
        "coco", r"1 images of 16 bits hold values of 12 bits .*multiply their values by 16", IMAGE, replaced(deep(4095))
    ),
    "a picture of one colour": Mistake(
        "yolo", r"1 images have one colour alone", IMAGE, replaced(lambda size: encoded(Image.new("RGB", size)))
    ),
    "a very large picture": Mistake("coco", r"1 images are very large \(4960 pixels at most\)", IMAGE, enlarged(40)),
}
