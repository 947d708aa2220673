"""Tests of sshhome.stores, a file each."""
