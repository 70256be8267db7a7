"""Facts about this machine, the networks, the run files and a weights file, as texts for people."""
