"""Every number and sentence of the app, without a user interface: nothing here imports gradio."""
