"""Reads the pickles of other programs without executing them."""
