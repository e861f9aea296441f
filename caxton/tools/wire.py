"""From the SDK's types to ours."""

import mcp_types as mcp
import msgspec

from caxton.domain.tool import (
    AudioPart,
    ContentPart,
    ImagePart,
    PromptLine,
    ResourcePart,
    TextPart,
    ToolCall,
    ToolHints,
    ToolName,
    ToolPrompt,
    ToolResource,
    ToolResult,
    ToolSchema,
)


def schema_of(server: str, tool: mcp.Tool) -> ToolSchema:
    hints = tool.annotations
    return ToolSchema(
        name=ToolName(server, tool.name),
        description=tool.description or "",
        title=tool.title or (hints.title if hints else None) or "",
        parameters=tool.input_schema,
        returns=tool.output_schema,
        hints=ToolHints(
            read_only=bool(hints and hints.read_only_hint),
            destructive=hints is None or hints.destructive_hint is not False,
            idempotent=bool(hints and hints.idempotent_hint),
            open_world=hints is None or hints.open_world_hint is not False,
        ),
    )


def result_of(call: ToolCall, result: mcp.CallToolResult) -> ToolResult:
    return ToolResult(
        call=call.id,
        tool=call.tool,
        content=tuple(part_of(block) for block in result.content),
        structured=result.structured_content,
        failed=result.is_error,
    )


def part_of(block: mcp.ContentBlock) -> ContentPart:
    match block:
        case mcp.TextContent():
            return TextPart(block.text)
        case mcp.ImageContent():
            return ImagePart(block.data, block.mime_type)
        case mcp.AudioContent():
            return AudioPart(block.data, block.mime_type)
        case mcp.ResourceLink():
            return ResourcePart(uri=block.uri, media_type=block.mime_type or "", title=block.title or block.name)
        case mcp.EmbeddedResource():
            return contents_of(block.resource)


def contents_of(contents: mcp.TextResourceContents | mcp.BlobResourceContents) -> ResourcePart:
    part = ResourcePart(uri=contents.uri, media_type=contents.mime_type or "")
    if isinstance(contents, mcp.TextResourceContents):
        return msgspec.structs.replace(part, text=contents.text)
    return msgspec.structs.replace(part, data=contents.blob)


def resource_of(server: str, resource: mcp.Resource) -> ToolResource:
    return ToolResource(
        server=server,
        uri=resource.uri,
        name=resource.title or resource.name,
        description=resource.description or "",
        media_type=resource.mime_type or "",
    )


def template_of(server: str, template: mcp.ResourceTemplate) -> ToolResource:
    return ToolResource(
        server=server,
        uri=template.uri_template,
        name=template.title or template.name,
        description=template.description or "",
        media_type=template.mime_type or "",
        template=True,
    )


def prompt_of(server: str, prompt: mcp.Prompt) -> ToolPrompt:
    arguments = prompt.arguments or []
    return ToolPrompt(
        server=server,
        name=prompt.name,
        description=prompt.description or "",
        arguments=tuple(argument.name for argument in arguments),
        required=tuple(argument.name for argument in arguments if argument.required),
    )


def line_of(message: mcp.PromptMessage) -> PromptLine:
    return PromptLine(message.role, part_of(message.content))
