"""The audit of two prompts' answers: what a gain is made of, which class pays for it, which sections carry it."""
