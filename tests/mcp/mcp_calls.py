"""Calls of tools, as tests write them."""


async def call(client, tool, /, **arguments):
    """Call a tool that succeeds and return its structured result."""
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    return answer.structured_content


async def refused(client, tool, /, **arguments):
    """Call a tool that fails and return the error that it tells."""
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error, answer.structured_content
    return answer.structured_content
