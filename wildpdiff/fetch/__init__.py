"""Many files from the web into a folder: each whole or resumable, none twice, politely."""
