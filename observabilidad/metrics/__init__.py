"""What the record says over many incidents: `python -m observabilidad.metrics`."""
