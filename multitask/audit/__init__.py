"""Label audits of runs in folds."""
