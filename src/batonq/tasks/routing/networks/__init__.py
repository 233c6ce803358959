"""Networks: every router is an agent, a packet is the artifact, and delay is what it costs."""
