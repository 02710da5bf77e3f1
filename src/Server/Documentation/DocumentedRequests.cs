using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.OpenApi;
using Swashbuckle.AspNetCore.SwaggerGen;
using Whatsit.Inference.Catalog;
using Whatsit.Server.Predictions;

namespace Whatsit.Server.Documentation;

/// <summary>Parameters as what they are (the handlers take text, so that what is wrong is said in our words), and bodies that Swagger UI can send.</summary>
internal sealed class DocumentedRequests : IOperationFilter
{
    // 8 × 8 pixels of one green.
    private const string SmallPicture =
        "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEUlEQVR42mOo2eyEFTEMLQkAGmRcQVhwQ1EAAAAASUVORK5CYII=";

    public void Apply(OpenApiOperation operation, OperationFilterContext context)
    {
        var metadata = context.ApiDescription.ActionDescriptor.EndpointMetadata;
        // Not the handler's own comment, which is for whoever reads the code.
        operation.Summary = metadata.OfType<IEndpointSummaryMetadata>().LastOrDefault()?.Summary;
        var puts = metadata.OfType<BundleBodyAttribute>().Any();
        foreach (var parameter in operation.Parameters?.OfType<OpenApiParameter>() ?? [])
        {
            (IOpenApiSchema? Schema, string? Description) described = parameter.Name switch
            {
                "name" when puts => (new OpenApiSchema { Type = JsonSchemaType.String, Pattern = $"^{Bundle.NameShape}$" },
                    "The model's name, new or known."),
                "name" => (ModelName(context), "The model's name."),
                "model" => (ModelName(context), "The model; without it, the default one answers."),
                "topK" => Described(DocumentedSchemas.TopK),
                "top_k" => (DocumentedSchemas.TopK, "The same as `topK`, which precedes it."),
                "explain" => Described(DocumentedSchemas.Explain),
                "file" => (parameter.Schema, "The file's name, as the manifest has it."),
                "v" => (new OpenApiSchema { Type = JsonSchemaType.String, Pattern = "^[0-9A-Fa-f]{64}$" },
                    "The file's SHA-256, as the manifest has it: the answer may then be kept for ever."),
                _ => (parameter.Schema, parameter.Description),
            };
            (parameter.Schema, parameter.Description) = described;
        }

        if (puts)
        {
            operation.RequestBody = Body(("application/zip", Media(DocumentedSchemas.Binary)), ("application/octet-stream", Media(DocumentedSchemas.Binary)));
        }
        else if (metadata.OfType<PictureBodyAttribute>().Any())
        {
            var json = Media(context.SchemaGenerator.GenerateSchema(typeof(JsonImage), context.SchemaRepository));
            json.Example = new JsonObject { ["image"] = SmallPicture, ["topK"] = 3 };
            operation.RequestBody = Body(
                ("multipart/form-data", Media(Form(context))),
                ("image/*", Media(DocumentedSchemas.Binary)),
                ("application/octet-stream", Media(DocumentedSchemas.Binary)),
                ("application/json", json),
                ("application/x-www-form-urlencoded", Media(json.Schema!)));
        }
    }

    private static OpenApiSchema Form(OperationFilterContext context)
    {
        var file = DocumentedSchemas.Binary;
        file.Description = "The picture. Its part may have any name, and a form several pictures: the answer is then `results`, one for each.";
        return new OpenApiSchema
        {
            Type = JsonSchemaType.Object,
            Required = new HashSet<string> { "file" },
            Properties = new Dictionary<string, IOpenApiSchema>
            {
                ["file"] = file,
                ["model"] = ModelName(context),
                ["topK"] = DocumentedSchemas.TopK,
                ["explain"] = DocumentedSchemas.Explain,
            },
        };
    }

    private static OpenApiSchemaReference ModelName(OperationFilterContext context) => new(DocumentedSchemas.ModelName, context.Document);

    private static (OpenApiSchema Schema, string? Description) Described(OpenApiSchema schema) => (schema, schema.Description);

    private static OpenApiMediaType Media(IOpenApiSchema schema) => new() { Schema = schema };

    private static OpenApiRequestBody Body(params (string Type, OpenApiMediaType Media)[] content) =>
        new() { Required = true, Content = content.ToDictionary(way => way.Type, IOpenApiMediaType (way) => way.Media) };
}
