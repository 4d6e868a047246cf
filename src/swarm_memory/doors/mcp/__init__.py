"""The MCP door: the memory as tools, resources and prompts of a Model Context Protocol server.

`acting` knows the store and who acts, `tools`, `default` and `full` what can be called,
`resources`, `feed` and `prompts` what can be read and heard of, `server` puts them together, and
`stdio` and `http` carry it. Nothing else imports the SDK, and this package imports nothing by
itself: the command line names it only in `swarm-memory mcp`.
"""
