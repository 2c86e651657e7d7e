"""How sure we are, and how sure we must be: the calibrated approval, and the threshold an allowed risk asks for."""

from core.judgement.calibration import Calibration, Calibrations, load_calibration

__all__ = ["Calibration", "Calibrations", "load_calibration"]
