"""The stores there are: one file each, all fitting `sshhome.store.Store`."""
