using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Mvc;
using Microsoft.OpenApi;
using Swashbuckle.AspNetCore.SwaggerGen;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Explaining;
using Whatsit.Server.Compatibility.Tutorial;
using Whatsit.Server.Models;
using Whatsit.Server.Predictions;

namespace Whatsit.Server.Documentation;

/// <summary>What the types do not say of themselves.</summary>
internal sealed partial class DocumentedSchemas : ISchemaFilter
{
    /// <summary>The component with the names of the server's models.</summary>
    public const string ModelName = "ModelName";

    public static OpenApiSchema TopK => new()
    {
        Type = JsonSchemaType.Integer,
        Format = "int32",
        Minimum = "1",
        Description = $"How many labels, at most as many as the model has classes. Without it {ClassifyOptions.DefaultTopK}, or all where there are fewer.",
    };

    public static OpenApiSchema Explain => OneOf(
        "`true` adds to each label where in the picture the evidence lies; `png` answers with the picture, dark where there is none.", "true", "false", "png");

    public static OpenApiSchema Binary => new() { Type = JsonSchemaType.String, Format = "binary" };

    public static OpenApiSchema OneOf(string? description, params IEnumerable<string> values) =>
        new() { Type = JsonSchemaType.String, Description = description, Enum = [.. values.Select(value => (JsonNode)value)] };

    public void Apply(IOpenApiSchema schema, SchemaFilterContext context)
    {
        if (schema is not OpenApiSchema own)
        {
            return;
        }

        // What is not known is passed over, and what is null is not written (but in the tutorial's answer).
        own.AdditionalPropertiesAllowed = true;
        own.Description = own.Description is not { } text ? null
            : OurName().Replace(text, name => $"`{JsonNamingPolicy.KebabCaseLower.ConvertName(name.Groups[1].Value)}`");
        if (context.MemberInfo is { } member)
        {
            own.Type = member.DeclaringType == typeof(TutorialResponse) ? own.Type
                : (own.Type & ~JsonSchemaType.Null) is { } type and not 0 ? type : null;
            return;
        }

        if (context.Type == typeof(ProblemDetails))
        {
            DescribeProblem(own);
        }
        else if (context.Type == typeof(JsonImage))
        {
            own.Properties!["model"] = new OpenApiSchemaReference(ModelName);
            own.Properties["topK"] = TopK;
            var explain = Explain;
            own.Properties["explain"] = new OpenApiSchema
            {
                Description = explain.Description,
                AnyOf = [new OpenApiSchema { Type = JsonSchemaType.Boolean }, OneOf(null, "true", "false", "png")],
            };
        }
        else if (context.Type == typeof(ModelDetails))
        {
            own.Properties!["manifest"] = context.SchemaGenerator.GenerateSchema(typeof(ModelManifest), context.SchemaRepository);
        }
        else if (context.Type == typeof(Explanation))
        {
            own.Properties!["method"] = OneOf(own.Properties["method"].Description, Explanation.ClassActivation, Explanation.Occlusion);
        }
        else if (context.Type == typeof(Warning))
        {
            own.Properties!["code"] = OneOf(own.Properties["code"].Description,
                RefusalCodes.All.Where(code => code.Value.Status is null).Select(code => code.Key));
        }
    }

    /// <summary>What the code's comments refer to; manifests have it in kebab-case.</summary>
    [GeneratedRegex(@"Whatsit(?:\.\w+)*\.(\w+)")]
    private static partial Regex OurName();

    /// <summary>As <see cref="Refusal.ToProblem"/> fills it.</summary>
    private static void DescribeProblem(OpenApiSchema problem)
    {
        var codes = RefusalCodes.All.Where(code => code.Value.Status is not null).ToArray();
        problem.Description = "Why a request was refused: RFC 9457 problem details.";
        problem.Required = new HashSet<string> { "type", "title", "status", "detail", "code" };
        problem.AdditionalProperties = null;
        problem.Properties = new Dictionary<string, IOpenApiSchema>
        {
            ["type"] = OneOf("The code says what kind it is.", "about:blank"),
            ["title"] = new OpenApiSchema { Type = JsonSchemaType.String, Description = "What kind of failure, for people." },
            ["status"] = new OpenApiSchema { Type = JsonSchemaType.Integer, Format = "int32", Description = "The status code." },
            ["detail"] = new OpenApiSchema { Type = JsonSchemaType.String, Description = "One sentence that names the value and the limit." },
            ["code"] = OneOf("Stable, for programs.", codes.Select(code => code.Key)),
            ["parameters"] = new OpenApiSchema
            {
                Type = JsonSchemaType.Object,
                Description = "The values in the sentence. " + string.Join("; ", codes.Where(code => code.Value.Parameters.Length > 0)
                    .Select(code => $"{code.Key}: {string.Join(", ", code.Value.Parameters)}")) + ".",
                AdditionalProperties = new OpenApiSchema(),
            },
        };
    }
}

/// <summary>What several operations refer to, and what only this server knows: the names of its models.</summary>
internal sealed class DocumentedComponents(ModelCatalog catalog) : IDocumentFilter
{
    public void Apply(OpenApiDocument swaggerDoc, DocumentFilterContext context)
    {
        var names = catalog.Models.Select(model => model.Name).Order(StringComparer.Ordinal).ToArray();
        var name = DocumentedSchemas.OneOf("The name of a model of this server.", names);
        name.Enum = names.Length > 0 ? name.Enum : null;
        swaggerDoc.Components!.Schemas![DocumentedSchemas.ModelName] = name;
        swaggerDoc.Components.Examples = ProblemExamples.All.ToDictionary(
            example => example.Key, IOpenApiExample (example) => new OpenApiExample { Value = example.Value });
    }
}
