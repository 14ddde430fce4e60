"""Files as bytes: what is there, how it is written, and room on disk for what does not fit in memory."""
