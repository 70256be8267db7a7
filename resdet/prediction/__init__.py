"""What ``resdet predict`` does: finds files, has a model look at each, and writes what it found in them."""
