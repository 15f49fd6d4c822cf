"""Slides of the chapters: what a lecturer shows, taken from the notebooks by rule."""
