"""Readers of what labelling programs export: each makes pictures with shapes, which become a data set in one place."""
