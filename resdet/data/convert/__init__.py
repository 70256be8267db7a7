"""Writing a data set in another format."""

FORMATS = ("coco", "voc", "yolo")
