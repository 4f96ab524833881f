"""netshare measured beside what people would pick instead, on the real kernel, in network namespaces of their own.

Each part is a module that measures and records figures; `__main__` names them. All that a reader sees is made from the
recorded figures: `page` (Markdown) and `plots` (PNG). Nothing here asserts how fast anything is, and no packet leaves
the labs.
"""
