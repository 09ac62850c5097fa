"""What tests of the services share: real components, a held clock, signals and fakes."""
