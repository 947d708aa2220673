"""Tests of sshhome.conventions.zigbee2mqtt, a file each."""
