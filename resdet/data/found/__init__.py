"""Finds out what a path of one's own holds: the format of its annotations, its images and its parts."""

from resdet.data.found.detection import FoundData, find_data

__all__ = ["FoundData", "find_data"]
