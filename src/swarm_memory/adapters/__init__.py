"""The swarm's memory through the classes of other frameworks, one file for each.

None is imported here: whoever wants one imports its file, which needs the framework.
"""
