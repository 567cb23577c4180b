"""Whether requests are traced; nothing of OpenTelemetry is imported where they are not."""

from typing import TYPE_CHECKING

from endcap.schema.errors import PluginError
from endcap.schema.settings import TelemetrySettings

if TYPE_CHECKING:
    from endcap.serve.telemetry import Telemetry


def open_telemetry(settings: TelemetrySettings) -> "Telemetry | None":
    """Trace this process's requests where the settings say to whom; else return None.

    Raises
    ------
    PluginError
        When OpenTelemetry is not installed.
    """
    if not settings.endpoint:
        return None
    try:
        from endcap.serve.telemetry import Telemetry
    except ImportError as error:
        raise PluginError(
            f"telemetry.endpoint = {settings.endpoint!r}: {error}.",
            hint="pip install 'endcap[telemetry]'",
        ) from error
    return Telemetry(settings)
