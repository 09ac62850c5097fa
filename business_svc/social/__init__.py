"""Social: profiles, posts with lineage, reactions, feeds and moderation."""
