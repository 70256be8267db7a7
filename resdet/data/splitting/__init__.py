"""Splits data of one's own into training and validation: what belongs together stays together, classes keep their share."""

from resdet.data.splitting.classification import parts_given, split_classes, write_parts
from resdet.data.splitting.detection import SplitSource, split_source

__all__ = ["SplitSource", "parts_given", "split_classes", "split_source", "write_parts"]
