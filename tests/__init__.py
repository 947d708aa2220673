"""Tests that mirror the package, and the transcripts."""
