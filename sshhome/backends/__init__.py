"""The backends there are: one file each, all fitting `sshhome.backend.Backend`."""
