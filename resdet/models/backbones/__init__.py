"""Residual networks: blocks, shortcuts, whole networks, their split for detection."""
