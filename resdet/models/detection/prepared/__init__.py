"""A trained detector made ready for inference: the same results from less work. The plain model stays the reference.

Each file is one step, with its algebra: ``fold`` (frozen BN into convolutions), ``gather`` (RoIAlign as weighted rows),
``fourier`` and ``winograd`` (3×3 convolutions with fewer products), ``region_net`` (conv5 on regions), ``trunk``, ``prepare``.
"""
