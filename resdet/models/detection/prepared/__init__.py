"""A trained detector made ready for inference: the same results from less work. The plain model stays the reference.

Each file is a step: ``fold`` (frozen BN into convolutions), ``fourier`` and ``winograd`` (3×3 convolutions of fewer products),
``regions`` (conv5 on regions), ``pooling``, ``trunk``, ``prepare``. The algebra that training uses too is in ``resdet.ops``:
``roi_rows`` (RoIAlign as weighted rows) and the two transforms.
"""
