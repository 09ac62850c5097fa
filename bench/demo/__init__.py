"""What a first visitor waits for, and what an idle platform keeps."""
