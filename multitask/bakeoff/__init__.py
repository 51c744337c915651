"""Bake-offs: contenders trained on equal terms and compared person by person. Nothing here imports optuna."""
