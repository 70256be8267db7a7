"""Models that ``resdet export`` wrote, run by ONNX Runtime or OpenVINO, with the interface of those that torch runs."""
