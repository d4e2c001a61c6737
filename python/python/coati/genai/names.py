"""OpenTelemetry's names for providers."""

from __future__ import annotations

#: By the names that libraries give them.
_PROVIDERS = {
    "amazon_bedrock": "aws.bedrock",
    "anthropic_bedrock": "aws.bedrock",
    "aws": "aws.bedrock",
    "aws_bedrock": "aws.bedrock",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "azure_ai_inference": "azure.ai.inference",
    "azure_openai": "azure.ai.openai",
    "az.ai.inference": "azure.ai.inference",
    "az.ai.openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "gemini": "gcp.gemini",
    "gla": "gcp.gemini",
    "google": "gcp.gemini",
    "google-gla": "gcp.gemini",
    "google-vertex": "gcp.vertex_ai",
    "google_anthropic_vertex": "gcp.vertex_ai",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "grok": "x_ai",
    "ibm": "ibm.watsonx.ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "moonshotai": "moonshot_ai",
    "vertex_ai": "gcp.vertex_ai",
    "vertexai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
#: Where nobody says whose model it is: the name is required.
UNKNOWN = "unknown"


def provider_name(name: object) -> str:
    """OpenTelemetry's name for the provider that a library calls ``name``.

    A name that it has no other for stays, in lower case; ``unknown`` where there is none.
    """
    known = text(name).strip().lower() if name else ""
    return _PROVIDERS.get(known.replace(" ", "_"), known) or UNKNOWN


def text(value: object) -> str:
    """What a value says of itself, whatever it is."""
    try:
        return str(value)
    except Exception:
        return f"<unprintable {type(value).__name__}>"
