"""`gptagent demo`: the platform's main job, once, over real HTTP, with nothing but this machine.

The platform and the emulated CRM run as processes of their own; this package only plays the company and
its customer, and checks what becomes of it.
"""

from gptagent.entrypoints.demo.story import run_demo

__all__ = ["run_demo"]
