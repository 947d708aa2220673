"""Tests of sshhome.orders, a file each."""
