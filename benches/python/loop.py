"""The loop one would write without Hairpin: OpenCV, numpy and ONNX Runtime, one frame after the other.

Reads requests from the standard input, one a line: how to decode (color, reduced_2 or reduced_4), how many frames
to read before the clock starts, and how many under the clock. Answers each with the frames per second.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort

DECODE = {
    "color": cv2.IMREAD_COLOR,
    "reduced_2": cv2.IMREAD_REDUCED_COLOR_2,
    "reduced_4": cv2.IMREAD_REDUCED_COLOR_4,
}


class Loop:
    def __init__(self, args):
        options = ort.SessionOptions()
        options.intra_op_num_threads = args.threads
        options.add_session_config_entry("session.intra_op.allow_spinning", args.spinning)
        self.session = ort.InferenceSession(args.model, options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.side = args.side
        self.mean = np.array(args.mean, np.float32)
        self.std = np.array(args.std, np.float32)
        # In memory, as frames of a camera are.
        self.frames = [np.frombuffer(path.read_bytes(), np.uint8) for path in sorted(args.frames.glob("*.jpg"))]
        if not self.frames:
            sys.exit(f"no frames in {args.frames}")

    def read(self, encoded, flag):
        image = cv2.imdecode(encoded, flag)
        image = cv2.resize(image, (self.side, self.side), interpolation=cv2.INTER_AREA)
        image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.float32) / 255.0
        image = (image - self.mean) / self.std
        batch = np.ascontiguousarray(image.transpose(2, 0, 1))[np.newaxis]
        return self.session.run(None, {self.input: batch})[0]

    def rate(self, flag, warm, count):
        for i in range(warm):
            self.read(self.frames[i % len(self.frames)], flag)
        start = time.perf_counter()
        for i in range(count):
            self.read(self.frames[i % len(self.frames)], flag)
        return count / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--frames", required=True, type=Path)
    parser.add_argument("--threads", required=True, type=int)
    parser.add_argument("--spinning", required=True, choices=["0", "1"])
    parser.add_argument("--side", required=True, type=int)
    parser.add_argument("--mean", required=True, nargs=3, type=float)
    parser.add_argument("--std", required=True, nargs=3, type=float)
    loop = Loop(parser.parse_args())
    versions = {"opencv": cv2.__version__, "onnxruntime": ort.__version__, "numpy": np.__version__}
    print(json.dumps(versions), flush=True)
    for line in sys.stdin:
        flag, warm, count = line.split()
        print(loop.rate(DECODE[flag], int(warm), int(count)), flush=True)


if __name__ == "__main__":
    main()
