"""Images and their boxes as networks are shown them."""
