"""Doors: ways in from outside. They parse, call one verb of the facade, and render."""
