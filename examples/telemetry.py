"""OpenTelemetry: every memory operation is a span, without what is in it.

Run it with `pip install swarm-memory[otel] opentelemetry-sdk`.
"""

import tempfile

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from swarm_memory import Swarm
from swarm_memory.telemetry import instrument


def main() -> None:
    spans = InMemorySpanExporter()  # in a program: the exporter of your collector
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    with tempfile.TemporaryDirectory() as folder, Swarm.open(f"sqlite:///{folder}/m.db") as swarm:
        instrument(swarm, tracer_provider=provider)
        swarm.memories.store("The tea room shuts at six", key="notes/tea")
        swarm.search("when does the tea room shut?")
        swarm.records.delete("notes/tea")
    for span in spans.get_finished_spans():
        key = span.attributes.get("gen_ai.memory.record.id", "")
        print(span.name, key, f"({span.attributes['gen_ai.memory.record.count']} record)")


if __name__ == "__main__":
    main()
