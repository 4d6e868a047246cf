"""Pure maths of learning: numbers in, numbers out; no store, no clock."""
