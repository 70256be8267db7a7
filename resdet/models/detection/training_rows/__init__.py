"""A network with frozen BN made ready for training on a CPU: the same steps from less work.

``twin`` makes it: a tree of modules that shares the parameters, buffers and hooks of the plain one, and has its names. Where a
part computes on rows (``block``, ``trunk``, ``regions``) each convolution, with its BN, sum and ReLU, is one step of
``resdet.ops.fused_conv``. What is not as it is written to be (``resdet.models.backbones.misfit``) runs itself. The plain model
stays the reference.
"""
