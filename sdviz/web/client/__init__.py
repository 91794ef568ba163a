"""What a sweep does with the server: find or start it, register its archive, send to foreign
ones.
"""
