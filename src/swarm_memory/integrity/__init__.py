"""Looking for damage in a store: everything is read once and nothing is changed.

report = verify_store(swarm)
for finding in report.findings: print(finding.key, finding.problem, finding.remedy)
"""

from __future__ import annotations

from swarm_memory.integrity.verify import Finding, VerifyReport, verify_store

__all__ = ["Finding", "VerifyReport", "verify_store"]
