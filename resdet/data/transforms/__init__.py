"""Transforms that turn images and their boxes into the network's input."""
