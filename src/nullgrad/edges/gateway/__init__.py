"""The gateway's HTTP side: what clients send, what they are sent, and who may ask."""
