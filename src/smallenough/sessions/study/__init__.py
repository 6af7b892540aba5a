"""Large models as they are against small ones that are fine-tuned, in one go."""
