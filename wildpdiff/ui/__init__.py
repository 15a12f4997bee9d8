"""The gradio page: it asks the studio and shows what it says."""
