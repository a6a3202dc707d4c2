"""The chain one would write without Hairpin for a classical model: OpenCV, mahotas and scikit-learn, one frame after the other on one thread.

Reads requests from the standard input, one a line: how many frames to read before the clock starts, and how many under it. Answers each
with the frames per second.
"""

import argparse
import json
import pickle
import sys
import time
from pathlib import Path

import cv2
import mahotas
import numpy as np
import sklearn

SIZE = (320, 256)
VALUES = np.arange(256.0)


def hu(grey):
    moments = cv2.HuMoments(cv2.moments(grey)).ravel()
    size = np.abs(moments)
    return -np.sign(moments) * np.log10(np.where(size > 0.0, size, 1.0))


def haralick(grey):
    return mahotas.features.haralick(grey).mean(axis=0)


def colour(bgr):
    out = []
    hsv = cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV_FULL)
    for picture, places in ((bgr, (2, 1, 0)), (hsv, (0, 1, 2))):
        for place in places:
            share = cv2.calcHist([picture], [place], None, [256], [0, 256]).ravel().astype(np.float64) / (SIZE[0] * SIZE[1])
            mean = share @ VALUES
            second, third = share @ (VALUES - mean) ** 2, share @ (VALUES - mean) ** 3
            out += [mean, np.sqrt(second), third / second**1.5 if second > 0.0 else 0.0]
    return out


class Chain:
    def __init__(self, args):
        cv2.setNumThreads(1)
        self.model = pickle.loads(args.model.read_bytes())
        # In memory, as frames of a camera are.
        self.frames = [np.frombuffer(path.read_bytes(), np.uint8) for path in sorted(args.frames.glob("*.jpg"))]
        if not self.frames:
            sys.exit(f"no frames in {args.frames}")

    def read(self, encoded):
        bgr = cv2.resize(cv2.imdecode(encoded, cv2.IMREAD_COLOR), SIZE, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
        row = np.concatenate([hu(grey), haralick(grey), colour(bgr)]).astype(np.float32)
        return self.model.predict_proba(row[np.newaxis])

    def rate(self, warm, count):
        for i in range(warm):
            self.read(self.frames[i % len(self.frames)])
        start = time.perf_counter()
        for i in range(count):
            self.read(self.frames[i % len(self.frames)])
        return count / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--frames", required=True, type=Path)
    chain = Chain(parser.parse_args())
    print(json.dumps({"opencv": cv2.__version__, "mahotas": mahotas.__version__, "sklearn": sklearn.__version__}), flush=True)
    for line in sys.stdin:
        warm, count = line.split()
        print(chain.rate(int(warm), int(count)), flush=True)


if __name__ == "__main__":
    main()
