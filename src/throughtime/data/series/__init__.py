"""Series: files and frames of numbers over time."""
