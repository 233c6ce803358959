"""CPU programming: agents that each know one class of instructions write programs together."""
