"""What is known about models: catalogue, request bodies, prompts."""
