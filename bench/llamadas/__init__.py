"""The calls bench: invented IVR logs with planted faults, and what is found in them."""
