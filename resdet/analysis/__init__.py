"""Measurements of networks: what they cost, what they compute."""
