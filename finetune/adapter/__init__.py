"""The judge's adapter: LoRA weights for the embedded model, fitted on pairs of incident and row (extra `ajuste`)."""
