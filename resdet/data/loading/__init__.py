"""Loads images in the right order: samplers, views, batches, worker processes."""
