"""WebAssembly servers that were sent over HTTP: kept in a directory of their own, there again after a restart.

What is sent may say how much it needs, within bounds. What it may see of this machine it cannot say: files,
environment and arguments are for the server file alone to grant.
"""

from pathlib import Path

import msgspec

from caxton.domain.errors import CaxtonError, Code
from caxton.domain.tool import is_server_name
from caxton.domain.tool_settings import McpServerSettings, WasmLimits
from caxton.tools.wasm_module import ModuleFacts, take_module
from caxton.tools.wasm_settings import MEBIBYTE

LARGEST = 32 * MEBIBYTE


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One server as its file keeps it. `module` is the name of a file beside."""

    name: str
    module: str
    sha256: str
    limits: WasmLimits


class Deployments:
    """The servers in `folder`; `cache` is where compiled modules are kept. `public_key` demands signatures of it."""

    def __init__(self, folder: Path, *, cache: Path, public_key: str = "") -> None:
        self._folder = folder
        self._cache = cache
        self._public_key = public_key

    def servers(self) -> dict[str, McpServerSettings]:
        """All of them by name; CaxtonError `storage_failed` where a file cannot be read."""
        found = {}
        for path in sorted(self._folder.glob("*.json")):
            try:
                deployment = msgspec.json.decode(path.read_bytes(), type=Deployment)
            except (OSError, msgspec.MsgspecError) as error:
                raise CaxtonError(
                    Code.STORAGE_FAILED,
                    f"The tool server kept in {str(path)!r} cannot be read.",
                    why=str(error),
                    hint="Delete the file and deploy the server again.",
                ) from error
            found[deployment.name] = self._settings(deployment)
        return found

    def add(
        self, name: str, module: bytes, *, sha256: str = "", signature: bytes = b"", limits: WasmLimits
    ) -> tuple[McpServerSettings, ModuleFacts]:
        """Check and keep a module under a server's name, in place of an earlier one.

        CaxtonError `body_invalid` where the name is none, `tool_server_unavailable` where the module may not be run.
        """
        if not is_server_name(name):
            raise CaxtonError(
                Code.BODY_INVALID, f"{name!r} is no server's name: lower-case letters, digits, '-' and '_', no dot."
            )
        path, facts = take_module(
            module, self._folder, max_bytes=LARGEST, sha256=sha256, public_key=self._public_key, signature=signature
        )
        deployment = Deployment(name=name, module=path.name, sha256=facts.sha256, limits=limits)
        part = self._folder / f"{name}.part"
        part.write_bytes(msgspec.json.encode(deployment))
        part.replace(self._folder / f"{name}.json")
        return self._settings(deployment), facts

    def remove(self, name: str) -> bool:
        """Forget a server; whether there was one. Modules that no server has any more go too."""
        path = self._folder / f"{name}.json"
        if not (is_server_name(name) and path.exists()):
            return False
        path.unlink()
        used = {Path(str(one.options["module"])).name for one in self.servers().values()}
        for module in self._folder.glob("*.wasm"):
            if module.name not in used:
                module.unlink()
        return True

    def _settings(self, deployment: Deployment) -> McpServerSettings:
        options: dict[str, object] = {
            **msgspec.structs.asdict(deployment.limits),
            "module": str(self._folder / deployment.module),
            "sha256": deployment.sha256,
            "cache": str(self._cache),
        }
        return McpServerSettings(name=deployment.name, kind="wasm", options=options)
