"""Whole sequences with a class or a number each."""
