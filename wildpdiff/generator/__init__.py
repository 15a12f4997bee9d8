"""The generator: codec, denoiser, schedule, and how they are trained."""

from .config import ConditionConfig, GeneratorConfig
from .generator import AdapterGenerator

__all__ = ["AdapterGenerator", "ConditionConfig", "GeneratorConfig"]
