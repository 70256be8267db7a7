"""From a model file to one that other runtimes run alone: ONNX and OpenVINO.

The graph is written node by node, as the detector's figure is drawn, so no exporter of torch stands between the model and the
file, and every file is held against the model before it gets its name. ``export.py`` is the way in.
"""
