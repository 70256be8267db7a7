"""Find objects in photos with onnxruntime, numpy and PIL alone; neither resdet nor torch runs here.

``resdet export model.safetensors detector.onnx --resize`` writes the file, ``pip install onnxruntime pillow`` installs what is
needed here, and ``python onnx_detect.py detector.onnx photo.jpg …`` prints what is found.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

LEAST_SCORE = 0.5

model, *photos = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
names = json.loads(session.get_modelmeta().custom_metadata_map["resdet"])["names"]

for photo in photos:
    picture = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
    pixels = np.asarray(picture)[None]  # uint8 (1, height, width, 3)
    boxes, scores, labels, counts = session.run(["boxes", "scores", "labels", "counts"], {"images": pixels})
    for box, score, label in zip(boxes[0], scores[0], labels[0], strict=True):
        if score >= LEAST_SCORE:  # best first; the rows after the counts[0] detections are zeros
            x1, y1, x2, y2 = box
            print(f"{photo}: {names[label]} {score:.3f} at {x1:.1f}, {y1:.1f}, {x2:.1f}, {y2:.1f}")
