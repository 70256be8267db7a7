"""Networks: backbones, the classifier, the detector."""
