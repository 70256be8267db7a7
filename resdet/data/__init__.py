"""Data sets in, batches out: decoding, annotation readers, transforms, samplers, loaders."""
