"""``python -m endcap`` is ``endcap``."""

from endcap.cli import main

main()
