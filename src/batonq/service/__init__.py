"""A node's HTTP service and its dashboard: `application(team)`, `serve(team)`, `Settings`."""
