"""What a distribution decides about analysis (spec package.md §13.2: 1e, 1g)."""

from __future__ import annotations

from typing import NamedTuple

_DRIVER = (
    "libcuda libcudadebugger libnvcuvid libnvoptix libEGL_nvidia libGLESv1_CM_nvidia libGLESv2_nvidia libGLX_nvidia"
    " libnvidia-allocator libnvidia-cfg libnvidia-eglcore libnvidia-encode libnvidia-fbc libnvidia-glcore libnvidia-glsi"
    " libnvidia-glvkspirv libnvidia-gpucomp libnvidia-ml libnvidia-ngx libnvidia-nvvm libnvidia-opencl libnvidia-opticalflow"
    " libnvidia-pkcs11-openssl3 libnvidia-pkcs11 libnvidia-ptxjitcompiler libnvidia-rtcore libnvidia-tls"
)
HOST_LIBRARIES = frozenset(f"{name}.so.1" for name in _DRIVER.split())
"""Libraries of graphics drivers: a container gets them from its host, so no package can be asked for them."""


class AnalysisRules(NamedTuple):
    """Switches and tables of the generators."""

    host_libraries: frozenset[str] = HOST_LIBRARIES
    """Names of libraries that are neither depended on nor provided."""
    versioned_libraries: bool = False
    """Depend on the versions of libraries that were there at build time (`so-ver:NAME>=VERSION`)."""
    command_links: bool = False
    """Symlinks in directories of commands provide their name, too."""


DEFAULT_RULES = AnalysisRules()
