"""Tests of sshhome.conventions, a file each."""
