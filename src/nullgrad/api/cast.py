"""Who plays which role: models opened once each, and the cast that a plan or a study is asked with."""

from __future__ import annotations

import math
from collections.abc import Mapping

from nullgrad.core.chat import Role, Sampling
from nullgrad.core.setting import Cast, RoleModel
from nullgrad.edges.models.named import open_model
from nullgrad.errors import UserError
from nullgrad.ports import Model


class Opener:
    """Opens models, one object for each identity; nothing is connected or loaded yet.

    Attributes:
        opened: every model by its identity.
    """

    def __init__(self) -> None:
        self.opened: dict[str, Model] = {}

    def open(
        self,
        spec: str | Model,
        base_url: str | None = None,
        endpoint_name: str | None = None,
        send_seed: bool = True,
    ) -> Model:
        """The model that a text means, or the model itself.

        Raises:
            UserError: the text names no model, or what it names is not there.
        """
        if not isinstance(spec, str):
            return self.opened.setdefault(spec.identity, spec)
        made = open_model(spec, base_url=base_url, endpoint_name=endpoint_name, send_seed=send_seed)
        return self.opened.setdefault(made.identity, made)


def make_cast(named: Mapping[Role, Model], sampling: Sampling, optimizer_temperature: float | None) -> Cast:
    """The cast; `optimizer_temperature` is the optimizer's own, None takes that of `sampling`.

    A role that nobody plays has a model without an identity, which no request may reach.
    """
    optimizer = (
        sampling
        if optimizer_temperature is None
        else Sampling(optimizer_temperature, sampling.top_p, sampling.max_tokens)
    )

    def player(role: Role) -> RoleModel:
        if role not in named:
            return RoleModel("")
        model = named[role]
        own = optimizer if role == "optimizer" else sampling
        return RoleModel(model.identity, own, model.constrains, model.max_logprobs)

    return Cast(player("generator"), player("optimizer"), player("critic"), player("judge"))


def check_sampling(
    temperature: float | None,
    optimizer_temperature: float | None,
    top_p: float | None,
    max_tokens: int | None,
) -> None:
    """Refuse what no endpoint takes before one is asked; `nan` could not even be sent as JSON.

    Raises:
        UserError: a value is out of its range.
    """
    for name, value in (("--temperature", temperature), ("--optimizer-temperature", optimizer_temperature)):
        if value is not None and not 0 <= value < math.inf:
            raise UserError(f"{name} is {value:g}.", "Nothing was run.", "Give 0 or more.")
    if top_p is not None and not 0 < top_p <= 1:
        raise UserError(f"--top-p is {top_p:g}.", "Nothing was run.", "Give more than 0, and 1 at most.")
    if max_tokens is not None and max_tokens < 1:
        raise UserError(f"--max-completion is {max_tokens}.", "Nothing was run.", "Give 1 or more.")
