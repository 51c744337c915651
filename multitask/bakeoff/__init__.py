"""Bake-offs: contenders trained on equal terms and compared group by group. Nothing here imports optuna."""
