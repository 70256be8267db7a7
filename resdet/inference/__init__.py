"""From a model file to answers about pictures."""
