using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Mvc.ApiExplorer;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.OpenApi;
using Swashbuckle.AspNetCore.SwaggerGen;
using Whatsit.Server.Access;
using Whatsit.Server.Compatibility;
using Whatsit.Server.Compatibility.Tutorial;
using Whatsit.Server.Predictions;

namespace Whatsit.Server.Documentation;

/// <summary>Every answer: each refusal's body with an example, headers, files.</summary>
internal sealed class DocumentedAnswers : IOperationFilter
{
    private static readonly string[] Any = ["internal-error", "too-many-connections"];

    private static readonly string[] Body =
    [
        "invalid-request", "malformed-request", "bad-content-encoding", "upload-too-slow", "request-too-large", "unsupported-content-encoding",
        "shutting-down",
    ];

    public void Apply(OpenApiOperation operation, OperationFilterContext context)
    {
        var metadata = context.ApiDescription.ActionDescriptor.EndpointMetadata;
        operation.Responses ??= new OpenApiResponses();
        if (metadata.OfType<FileAnswerAttribute>().Any())
        {
            DescribeFile(operation);
        }

        if (metadata.OfType<RefusesAttribute>().SingleOrDefault() is not { } refuses)
        {
            return;
        }

        var audience = Audiences.Of(metadata);
        string[] known = audience switch
        {
            Audience.Clients => ["api-key-needed", "rate-limited"],
            Audience.Management => ["management-key-needed", "management-off"],
            _ => [],
        };
        string[] codes = [.. refuses.Codes, .. Any, .. known];
        codes = operation.RequestBody is null ? codes : [.. codes, .. Body];
        DescribeKey(operation, audience, context.Document);
        var problem = context.SchemaGenerator.GenerateSchema(typeof(ProblemDetails), context.SchemaRepository);
        foreach (var status in RefusalCodes.All.Keys.Where(codes.Contains).Select(code => (Code: code, Own: OwnForm(code, context.ApiDescription)))
            .GroupBy(refusal => refusal.Own?.Status ?? RefusalCodes.All[refusal.Code].Status!.Value).OrderBy(status => status.Key))
        {
            var response = Response(operation, status.Key);
            response.Description = $"{ReasonPhrases.GetReasonPhrase(status.Key)}: {string.Join(", ", status.Select(refusal => $"`{refusal.Code}`"))}";
            if (status.Where(refusal => refusal.Own is null).ToArray() is { Length: > 0 } ours)
            {
                response.Content!["application/problem+json"] = new OpenApiMediaType
                {
                    Schema = problem,
                    Examples = ours.ToDictionary(
                        refusal => refusal.Code, IOpenApiExample (refusal) => new OpenApiExampleReference(refusal.Code, context.Document)),
                };
            }

            if (status.Where(refusal => refusal.Own is not null).ToArray() is { Length: > 0 } theirs)
            {
                response.Content!["application/json"] = new OpenApiMediaType
                {
                    Schema = context.SchemaGenerator.GenerateSchema(typeof(TutorialResponse), context.SchemaRepository),
                    Examples = theirs.ToDictionary(
                        refusal => refusal.Code, IOpenApiExample (refusal) => new OpenApiExample { Value = JsonNode.Parse(refusal.Own!.Json) }),
                };
            }

            if (status.Key is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable)
            {
                AddHeader(response, "Retry-After", JsonSchemaType.Integer, "After how many seconds it is worth a try.");
            }
        }

        if (context.ApiDescription.SupportedResponseTypes.Any(answer => answer.Type == typeof(PredictionResponse)))
        {
            DescribeLabels(Response(operation, StatusCodes.Status200OK), context);
        }
    }

    /// <summary>A refusal as the protocol says it that the operation belongs to; of those of other servers the document has the tutorial's.</summary>
    private static ProtocolFailure? OwnForm(string code, ApiDescription operation) =>
        // A connection too many is refused before its request is read.
        code == "too-many-connections" ? null
            : Protocols.Fail(ProblemExamples.Refusals[code], new DefaultHttpContext { Request = { Path = $"/{operation.RelativePath}" } }.Request);

    private static void DescribeLabels(OpenApiResponse response, OperationFilterContext context)
    {
        response.Content = new Dictionary<string, IOpenApiMediaType>
        {
            ["application/json"] = new OpenApiMediaType
            {
                Schema = new OpenApiSchema
                {
                    AnyOf =
                    [
                        context.SchemaGenerator.GenerateSchema(typeof(PredictionResponse), context.SchemaRepository),
                        context.SchemaGenerator.GenerateSchema(typeof(PredictionsResponse), context.SchemaRepository),
                    ],
                },
                Examples = AnswerExamples.All.ToDictionary(
                    example => example.Name, IOpenApiExample (example) => new OpenApiExample { Summary = example.Summary, Value = example.Answer }),
            },
            ["image/png"] = new OpenApiMediaType { Schema = DocumentedSchemas.Binary },
        };
        response.Description = "The labels, best first; with several pictures one result for each; with `explain=png` the picture.";
        AddHeader(response, "Server-Timing", JsonSchemaType.String, "The answer's timing: `decode`, `preprocess`, `queue`, `compute`, `total`.");
        AddHeader(response, "X-Explanation", JsonSchemaType.String, "With `explain=png`, the label that the picture explains, as a dictionary (RFC 9651).");
    }

    private static void DescribeFile(OpenApiOperation operation)
    {
        foreach (var (status, description) in ((int, string)[])[
            (StatusCodes.Status200OK, "The file."), (StatusCodes.Status206PartialContent, "The bytes that `Range` asks for."),
            (StatusCodes.Status304NotModified, "The file is the one that `If-None-Match` names.")])
        {
            var response = Response(operation, status);
            response.Description = description;
            response.Content = status == StatusCodes.Status304NotModified ? null
                : new Dictionary<string, IOpenApiMediaType> { ["application/octet-stream"] = new OpenApiMediaType { Schema = DocumentedSchemas.Binary } };
            AddHeader(response, "ETag", JsonSchemaType.String, "The file's SHA-256.");
        }
    }

    private static void DescribeKey(OpenApiOperation operation, Audience audience, OpenApiDocument document)
    {
        var key = new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(OpenApi.Key, document)] = [] };
        operation.Security = audience switch
        {
            // Where there are keys.
            Audience.Clients => [new(), key],
            Audience.Management => [key],
            _ => null,
        };
    }

    private static OpenApiResponse Response(OpenApiOperation operation, int status)
    {
        var name = $"{status}";
        if (operation.Responses!.TryGetValue(name, out var there) && there is OpenApiResponse known)
        {
            known.Content ??= new Dictionary<string, IOpenApiMediaType>();
            return known;
        }

        var response = new OpenApiResponse { Content = new Dictionary<string, IOpenApiMediaType>() };
        operation.Responses[name] = response;
        return response;
    }

    private static void AddHeader(OpenApiResponse response, string name, JsonSchemaType type, string description)
    {
        response.Headers ??= new Dictionary<string, IOpenApiHeader>();
        response.Headers[name] = new OpenApiHeader { Description = description, Schema = new OpenApiSchema { Type = type } };
    }
}
