"""What other tools read: inspect_ai logs, promptfoo configurations, MLflow and Weights & Biases runs."""
