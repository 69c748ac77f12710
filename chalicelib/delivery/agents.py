"""Programs that open mails and follow links before a person does: mail scanners, fetchers, scripts."""

from __future__ import annotations

import re

# What scanners of mail and scripts call themselves. The image proxies of Gmail and Yahoo are not here: they fetch a
# picture when a person opens the mail. Nor is Outlook, which calls itself MSOffice.
_MACHINES = re.compile(
    r"bot\b|crawl|spider|scan|preview|prefetch|barracuda|mimecast|proofpoint|urldefense|bitdefender|trendmicro|sophos"
    r"|fortiguard|symantec|messagelabs|cisco|ironport|safelinks|forcepoint|zscaler|vade|headless|phantomjs|python"
    r"|curl/|wget/|libwww|go-http-client|java/|okhttp|apache-httpclient|node-fetch|axios|ruby|facebookexternalhit",
    re.IGNORECASE,
)


def is_machine(agent: str) -> bool:
    """Tell whether somebody who calls themselves so is a program; of somebody without a name it isn’t known."""
    return _MACHINES.search(agent) is not None
