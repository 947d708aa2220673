"""The ways in which devices speak over MQTT, a file each."""
