"""The step types that come with Stepwell; they use the same door as a foreign plugin."""
