"""A model behind a gateway: a parameter that the endpoint refuses is the program's mistake, and not the end of the run."""

from __future__ import annotations

from nullgrad.core.chat import Reply, Request
from nullgrad.edges.models.openai import REMEDIES
from nullgrad.errors import CallError, UserError
from nullgrad.ports import Model

_OURS = frozenset(REMEDIES.values())


class Behind:
    """A `Model` as it is, but for parameters: elsewhere the user set them for every call, here one call of a program did.

    Args:
        model: the model.
    """

    def __init__(self, model: Model) -> None:
        self._model = model
        self.identity = model.identity
        self.name = model.name
        self.simulated = model.simulated
        self.constrains = model.constrains
        self.max_concurrency = model.max_concurrency
        self.max_logprobs = model.max_logprobs

    async def open(self) -> None:
        """As the model's."""
        await self._model.open()

    async def close(self) -> None:
        """As the model's."""
        await self._model.close()

    async def call(self, request: Request) -> Reply:
        """Ask once.

        Raises:
            CallError: this call failed, or the endpoint refuses one of its parameters.
            UserError: no call can succeed.
        """
        try:
            return await self._model.call(request)
        except UserError as error:
            if error.ways_out not in _OURS:
                raise
            raise CallError("rejected", error.what, status=400, retryable=False) from None
