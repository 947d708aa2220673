"""Tests of sshhome.backends, a file each."""
