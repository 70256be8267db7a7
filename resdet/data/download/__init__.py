"""Fetches and unpacks published data sets."""
