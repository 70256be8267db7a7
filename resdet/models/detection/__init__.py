"""Faster R-CNN on ResNet-C4 (paper, appendix A), a file for each box of the figure."""
