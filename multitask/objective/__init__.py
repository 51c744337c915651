"""What is minimised: a loss per head, and how the losses become one step."""
