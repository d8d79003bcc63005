#!/usr/bin/env python3
"""The mean score that a job's model gives to samples, and the share of class 1 among them, as one line of JSON.

    score_onnx.py MODEL.onnx SAMPLES

SAMPLES are those of the training part that `beamline samples --raw` wrote: the normalisation is in the model.
"""

import json
import sys

import numpy as np
import onnxruntime
import train_samples as samples

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
features, labels = samples.load(sys.argv[2], "train")
scores = session.run(None, {session.get_inputs()[0].name: features})[0]
print(
    json.dumps(
        {
            "meanScore": float(np.mean(scores.reshape(len(features), -1)[:, -1], dtype=np.float64)),
            "share": float(np.mean(labels, dtype=np.float64)),
        }
    )
)
