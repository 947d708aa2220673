"""Tests of sshhome.conventions.discovery, a file each."""
