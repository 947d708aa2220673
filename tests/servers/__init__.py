"""Real servers that tests run against, each started afresh on free ports of this machine and ended with the test."""
