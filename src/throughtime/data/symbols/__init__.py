"""Symbols: text and sound as tokens."""
