"""What a step may import of Stepwell where its interpreter has none: the run it belongs to."""

from stepwell_step.run import Run

__all__ = ["Run"]
