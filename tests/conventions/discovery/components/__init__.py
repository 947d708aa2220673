"""Tests of the components, each by what describes it, what it tells, and what it is told."""
