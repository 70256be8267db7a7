"""Splits data of one's own into training and validation: what belongs together stays together, classes keep their share."""

from resdet.data.splitting.classification import split_classes
from resdet.data.splitting.detection import SplitSource, split_source

__all__ = ["SplitSource", "split_classes", "split_source"]
