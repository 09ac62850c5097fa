"""The commands of `reelmesh`, one file each."""
