"""What there is to know of this machine, the networks, the run files and a weights file: facts and texts for people."""
