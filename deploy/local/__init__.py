"""The supervisor behind `reelmesh up`: one file a component, real programs from wheels."""
