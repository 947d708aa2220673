"""Attacks on the door, one a file: what an attacker does, and what must hold while they do it and after."""
