"""What the API answers, as plain JSON; no gradio."""
