"""All linters with their defaults (spec package.md §14)."""

from __future__ import annotations

from apkiln.package.analysis.linters import binaries, contents, declared, names, permissions, places, python
from apkiln.package.analysis.linters.scene import Default, Linter

_REQUIRED, _WARNED, _OFF = Default.REQUIRED, Default.WARNED, Default.OFF

LINTERS: tuple[Linter, ...] = (
    Linter("dev", _REQUIRED, places.dev, "remove the files; the system makes what is there"),
    Linter("infodir", _REQUIRED, places.info_directory, "remove the file in the pipeline, for example with `split/infodir`"),
    Linter("libtool/la-files", _REQUIRED, names.libtool_archives, "remove the `.la` files in the pipeline"),
    Linter("setuidgid", _REQUIRED, permissions.special_bits, "take the bits away, or disable the check where they are meant"),
    Linter("tempdir", _REQUIRED, places.temporary, "remove the files; announce directories with a tmpfiles.d file"),
    Linter("usrmerge", _REQUIRED, places.merged_usr, "move the files below `/usr/bin` or `/usr/lib`"),
    Linter("varempty", _REQUIRED, places.empty_variable, "remove the files; the directory stays empty"),
    Linter("worldwrite", _REQUIRED, permissions.world_writable, "take the right to write away from others"),
    Linter("setcap-missing-file", _REQUIRED, declared.capabilities, "correct the path below `setcap`"),
    Linter("file-conflict", _REQUIRED, places.file_conflict, "leave the file in one package, or declare `replaces`"),
    Linter("binaryarch", _WARNED, binaries.architectures, "leave out what this architecture cannot run"),
    Linter("unsupportedarch", _WARNED, names.foreign_architectures, "leave out what is for other architectures"),
    Linter("nonlinux", _WARNED, names.foreign_platforms, "leave out what is for other operating systems"),
    Linter("cudaruntimelib", _WARNED, names.graphics_drivers, "leave the libraries of the driver to the host"),
    Linter("dll", _WARNED, names.windows_libraries, "remove the libraries"),
    Linter("dylib", _WARNED, names.macos_libraries, "remove the libraries"),
    Linter("duplicate", _WARNED, contents.duplicates, "replace copies by links"),
    Linter("lddcheck", _WARNED, binaries.untested_libraries, "add `uses: test/ldd-check` to the test of the package"),
    Linter("pkgconf", _WARNED, binaries.untested_modules, "add `uses: test/pkgconf` to the test of the package"),
    Linter("maninfo", _WARNED, places.manual_pages, "move the pages into a `-doc` package"),
    Linter("object", _WARNED, names.objects, "remove the object files"),
    Linter("opt", _WARNED, places.opt, "move the files below `/usr`, or into a `-compat` package"),
    Linter("srv", _WARNED, places.srv, "move the files below `/usr`, or into a `-compat` package"),
    Linter("usrlocal", _WARNED, places.usr_local, "move the files below `/usr`, or into a `-compat` package"),
    Linter("python/docs", _WARNED, python.documentation, "remove the directory, or move it into the module"),
    Linter("python/test", _WARNED, python.tests, "remove the directory, or move it into the module"),
    Linter("python/multiple", _WARNED, python.several, "make a package of each module"),
    Linter("sbom", _WARNED, places.bills, "remove the files"),
    Linter("staticarchive", _WARNED, names.static_archives, "move the archives into a `-dev` or `-static` package"),
    Linter("strip", _WARNED, binaries.unstripped, "add `uses: strip`, or split the data off into a `-dbg` package"),
    Linter("dangling-symlink", _WARNED, contents.dangling_links, "correct the target, or depend on the package that has it"),
    Linter("rpath", _WARNED, binaries.run_paths, "build without the run path, or remove it"),
    Linter("missing-needed", _WARNED, binaries.missing_needed, "depend on the package that brings the library"),
    Linter("owner", _WARNED, permissions.owners, "announce the user with a sysusers.d file"),
    Linter("build-path", _WARNED, contents.build_paths, "build with a prefix map, or remove what names the directory"),
    Linter("shebang-missing", _WARNED, contents.missing_first_lines, "add a first line that names the interpreter"),
    Linter("scriptlet-syntax", _WARNED, declared.scripts, "correct the script"),
    Linter("world-readable-secrets", _WARNED, permissions.readable_secrets, "remove the key, or take the right to read away"),
    Linter("empty-dir-perms", _WARNED, permissions.empty_directories, "set the sticky bit"),
    Linter("case-collision", _WARNED, places.case_collision, "rename one of the paths"),
    Linter("documentation", _OFF, places.documentation, "move the files into a `-doc` package"),
    Linter("empty", _OFF, places.empty, "remove the package, or give it relations"),
    Linter("absolute-symlink", _OFF, contents.absolute_links, "make the targets relative"),
    Linter("hardening", _OFF, binaries.hardening, "build with the protections of the compiler"),
    Linter("undeclared-license", _OFF, declared.licences, "declare the licence below `copyright`"),
)
NAMES = tuple(linter.name for linter in LINTERS)
