"""What is trained, and how it is judged: a task for detectors, classifiers and localizers each, and the run that trains it."""
