"""Files of organizations in object storage."""
