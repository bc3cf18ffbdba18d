"""TLS: the certificate that a server shows, and its reloading."""

from __future__ import annotations

import os
import ssl

from hyperws.errors import ConfigurationError, UsageError

File = str | os.PathLike[str]


class Certificate:
    """A certificate chain and its private key, in PEM files, or an SSLContext that has them."""

    def __init__(self, certificate: File | ssl.SSLContext, keyfile: File | None) -> None:
        """Raises ConfigurationError for files that can't be used."""
        if isinstance(certificate, ssl.SSLContext):
            if keyfile is not None:
                raise ConfigurationError("tls takes an SSLContext alone: it has its own key")
            self.context = certificate
            self.files = None
        else:
            self.files = (certificate, keyfile)
            self.context = self._load()

    def reload(self) -> None:
        """Read the files again: handshakes from now on show what is in them.

        Raises ConfigurationError where they can't be used, and keeps the certificate then.
        """
        if self.files is None:
            raise UsageError("the SSLContext is the application's: call its load_cert_chain() instead")
        self._load()  # into a context of its own first, as half a certificate would spoil the one in use
        self.context.load_cert_chain(*self.files)

    def _load(self) -> ssl.SSLContext:
        assert self.files is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(*self.files)
        except (OSError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"tls can't use {self.files[0]!r} with the key in {self.files[1] or self.files[0]!r}: {error}"
            ) from None
        return context
