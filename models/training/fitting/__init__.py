"""Makes a model bundle from drawn nailfolds: frames, geometry, training, calibration, measurement, bundle."""
