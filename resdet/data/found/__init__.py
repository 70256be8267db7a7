"""Finds out what a path of one's own holds: the format of its annotations, its images and its parts."""

from resdet.data.found.classification import FoundClasses, find_classes
from resdet.data.found.detection import FoundData, find_data
from resdet.data.found.task import find_task

__all__ = ["FoundClasses", "FoundData", "find_classes", "find_data", "find_task"]
