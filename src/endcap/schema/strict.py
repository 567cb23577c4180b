"""The base of every settings object: frozen, strict, and helpful when a key is misspelt."""

from collections.abc import Mapping
from typing import Any, Self

import pydantic

from endcap.schema.errors import ConfigError, nearest


class Strict(pydantic.BaseModel):
    """A frozen settings object that refuses unknown keys and names the nearest right one.

    Stability: implementer (subclass it for the settings of a plug-in).
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, where: str = "") -> Self:
        """Build from plain values.

        Parameters
        ----------
        values
            Keys and values as read from a file, a flag or a request.
        where
            What is being read, for the message (``"endcap.toml [serve]"``).

        Raises
        ------
        ConfigError
            Naming each bad key or value, and the nearest right name.
        """
        try:
            return cls.model_validate(dict(values))
        except pydantic.ValidationError as error:
            raise explain(error, cls, where=where or cls.__name__) from error


def explain(
    error: pydantic.ValidationError, model: type[pydantic.BaseModel], *, where: str
) -> ConfigError:
    """Turn a pydantic error into one sentence for each fault, with the nearest right name."""
    faults, hints = [], []
    for fault in error.errors(include_url=False):
        key = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            faults.append(f"unknown key {key!r}")
            hints.append(nearest(str(fault["loc"][-1]), _fields_at(model, fault["loc"][:-1])))
        else:
            faults.append(f"{key} = {fault['input']!r}: {fault['msg']}")
    return ConfigError(f"{where}: {'; '.join(faults)}.", hint=" ".join(hints))


def _fields_at(model: type[pydantic.BaseModel], path: tuple[int | str, ...]) -> list[str]:
    for part in path:
        field = model.model_fields.get(str(part))
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, pydantic.BaseModel)):
            return []
        model = inner
    return list(model.model_fields)
