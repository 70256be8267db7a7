"""Training and evaluation of localizers."""
