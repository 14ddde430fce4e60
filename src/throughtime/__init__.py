"""Recurrent networks trained by backpropagation through time, on PyTorch."""
