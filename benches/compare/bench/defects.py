"""What is known to be wrong with builds, by what was measured in this bed; and what this run saw of it."""

import re

# The builds that were seen to stall, by date; nothing is known of others.
STALLING = ("2023_03_09", "2025_05_03", "2026_10_02")


def known(contender):
    """The known defects of a contender, in words."""
    if contender.group != "pasta" or contender.on_wide_host:
        return []
    date = re.search(r"20\d\d_\d\d_\d\d", contender.name)
    if not date or date[0] not in STALLING:
        return []
    return [
        "its outbound TCP to near destinations stalls for retransmission time-outs: it advertises the peer's window rather than what "
        f"its socket can hold, and a send that is taken only in part loses the rest (seen here in {', '.join(STALLING)}). In the column "
        "+wmem the newest build runs on a host whose send buffers are larger than that window (tcp_wmem; and with a longer queue "
        "of the container's device); how far that cures it is in the rows \"longest pause\": a retransmission time-out is 200 ms or more"
    ]
