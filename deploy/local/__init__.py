"""The supervisor behind `reelmesh up`: every component as a process of one machine."""
