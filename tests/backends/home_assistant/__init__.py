"""Tests of sshhome.backends.home_assistant, a file each."""
