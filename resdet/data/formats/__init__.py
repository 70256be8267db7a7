"""Readers of data set formats, one module for each: from the files on disk to arrays."""
