"""Training and evaluation: a task each for detectors, classifiers and localizers, and the run that trains it."""
