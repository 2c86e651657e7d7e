"""Tests of observabilidad."""
