"""What runs in the peer's own environment, which has TensorFlow and NumPy: images through one of its networks.

::

    python -m benchmarks.peer_process SAVED_MODEL NOISY.npy RESTORED.npy

Prints seconds of each image and peak memory as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.memory import peak_gb

__all__ = ["restore"]


def restore(model: str, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], list[float]]:
    """Restore images ``(N, Y, X)`` one by one; seconds of each, without loading and after a run to warm up."""
    import tensorflow as tf

    run = tf.saved_model.load(model).signatures["serving_default"]
    (name,) = run.structured_input_signature[1]  # of its one argument

    def one(image: NDArray[np.float32]) -> NDArray[np.float32]:
        (restored,) = run(**{name: tf.constant(image[None, :, :, None])}).values()
        found: NDArray[np.float32] = restored.numpy()[0, :, :, 0]
        return found

    one(images[0])
    restored, seconds = np.empty_like(images), []
    for index, image in enumerate(images):
        started = time.perf_counter()
        restored[index] = one(image)
        seconds.append(time.perf_counter() - started)
    return restored, seconds


def main(model: str, noisy: str, restored: str) -> dict[str, Any]:
    """Restore the images of a file into another one."""
    images, seconds = restore(model, np.load(noisy))
    np.save(restored, images)
    return {"seconds": seconds, "peak GB": peak_gb()}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])) + "\n")
