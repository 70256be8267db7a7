"""From the data section of a run file to data sets and their transforms."""
