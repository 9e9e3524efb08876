"""Settings of other systems, brought into config.yaml."""
