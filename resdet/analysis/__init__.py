"""Measures networks: their cost, and what they compute."""
