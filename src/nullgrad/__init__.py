"""nullgrad optimizes prompts for language models and tells what the improvement is made of."""

__version__ = "0.1.0"
