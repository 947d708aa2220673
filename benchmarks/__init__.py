"""What sshhome costs beside its peers, measured in one run."""
