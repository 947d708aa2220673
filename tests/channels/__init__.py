"""Tests of sshhome.channels, a file each."""
