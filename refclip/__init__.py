"""refclip: CLIP and the CLIP-based anomaly detectors, in plain array code, checked against open_clip."""

from refclip.backend import to_device, to_numpy
from refclip.checkpoint import WeightsError
from refclip.clip import CLIP, encode_image, encode_text, encode_tokens, encode_windows, similarity
from refclip.decode import ImageError, read_image
from refclip.methods import METHODS, detector
from refclip.prediction import Prediction
from refclip.tokenizer import tokenize
from refclip.transformer import Dual
from refclip.weights import load

__version__ = "0.1.0"
__all__ = [
    "CLIP",
    "METHODS",
    "Dual",
    "ImageError",
    "Prediction",
    "WeightsError",
    "detector",
    "encode_image",
    "encode_text",
    "encode_tokens",
    "encode_windows",
    "load",
    "read_image",
    "similarity",
    "to_device",
    "to_numpy",
    "tokenize",
]
