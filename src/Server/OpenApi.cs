using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Mvc;
using Microsoft.OpenApi;
using Swashbuckle.AspNetCore.SwaggerGen;
using Whatsit.Server.Access;
using Whatsit.Server.Predictions;

namespace Whatsit.Server;

/// <summary>The OpenAPI document at <c>/swagger/v1/swagger.json</c> and Swagger UI at <c>/swagger</c>.</summary>
internal static class OpenApi
{
    public static void AddOpenApiDocument(this IServiceCollection services)
    {
        services.AddEndpointsApiExplorer();
        services.AddSwaggerGen(swagger =>
        {
            swagger.SwaggerDoc("v1", new OpenApiInfo { Title = "Whatsit", Version = "v1", Description = "A photo in, labels out." });
            swagger.OperationFilter<PictureBodies>();
            swagger.SchemaFilter<Problems>();
            foreach (var documentation in Directory.EnumerateFiles(AppContext.BaseDirectory, "Whatsit.*.xml"))
            {
                swagger.IncludeXmlComments(documentation);
            }
        });
    }

    public static void MapOpenApiDocument(this WebApplication app)
    {
        // Built when somebody first asks: a server that starts has better things to do than to read documentation.
        var documentation = new Lazy<RequestDelegate>(() => ((IApplicationBuilder)app).New()
            .UseSwagger()
            .UseSwaggerUI(ui => ui.DocumentTitle = "Whatsit API")
            .Build());
        app.Map("/swagger/{**path}", context =>
        {
            // Static files are only served where no endpoint was chosen, and Swagger UI is static files.
            context.SetEndpoint(null);
            return documentation.Value(context);
        }).ExcludeFromDescription().For(Audience.Operations);
    }

    /// <summary>Adds what our problem details carry beside the standard's members.</summary>
    private sealed class Problems : ISchemaFilter
    {
        public void Apply(IOpenApiSchema schema, SchemaFilterContext context)
        {
            if (context.Type != typeof(ProblemDetails) || schema is not OpenApiSchema problem)
            {
                return;
            }

            var codes = RefusalCodes.All.Where(code => code.Value.Status is not null).ToArray();
            problem.Properties ??= new Dictionary<string, IOpenApiSchema>();
            problem.Properties["code"] = new OpenApiSchema
            {
                Type = JsonSchemaType.String,
                Description = "Stable, for programs.",
                Enum = [.. codes.Select(code => (JsonNode)code.Key)],
            };
            problem.Properties["parameters"] = new OpenApiSchema
            {
                Type = JsonSchemaType.Object,
                Description = "The values in the sentence. " + string.Join("; ", codes.Where(code => code.Value.Parameters.Length > 0)
                    .Select(code => $"{code.Key}: {string.Join(", ", code.Value.Parameters)}")) + ".",
                AdditionalPropertiesAllowed = true,
            };
        }
    }

    /// <summary>Adds the ways to send a picture; Swagger UI then offers a file button.</summary>
    private sealed class PictureBodies : IOperationFilter
    {
        public void Apply(OpenApiOperation operation, OperationFilterContext context)
        {
            if (!context.ApiDescription.ActionDescriptor.EndpointMetadata.OfType<PictureBodyAttribute>().Any())
            {
                return;
            }

            operation.RequestBody = new OpenApiRequestBody
            {
                Required = true,
                Content = new Dictionary<string, IOpenApiMediaType>
                {
                    ["multipart/form-data"] =
                        Media(new OpenApiSchema { Type = JsonSchemaType.Object, Properties = new Dictionary<string, IOpenApiSchema> { ["file"] = Binary() } }),
                    ["image/*"] = Media(Binary()),
                    ["application/octet-stream"] = Media(Binary()),
                    ["application/json"] = Media(context.SchemaGenerator.GenerateSchema(typeof(JsonImage), context.SchemaRepository)),
                },
            };

            if (context.SchemaRepository.Schemas[nameof(JsonImage)] is OpenApiSchema { Properties: { } members })
            {
                members["explain"] = new OpenApiSchema
                {
                    Description = members["explain"].Description,
                    AnyOf = [new OpenApiSchema { Type = JsonSchemaType.Boolean | JsonSchemaType.Null }, OneOf("true", "false", "png")],
                };
            }

            foreach (var parameter in operation.Parameters?.OfType<OpenApiParameter>().Where(parameter => parameter.Name == "explain") ?? [])
            {
                parameter.Schema = OneOf("true", "false", "png");
                parameter.Description = "true adds to each label where in the picture the evidence lies; png answers with the picture.";
            }

            if (operation.Responses?["200"] is OpenApiResponse { Content: { } answers })
            {
                answers["image/png"] = Media(Binary());
            }

            static OpenApiSchema OneOf(params string[] values) =>
                new() { Type = JsonSchemaType.String, Enum = [.. values.Select(value => (JsonNode)value)] };
            static OpenApiMediaType Media(IOpenApiSchema schema) => new() { Schema = schema };
            static OpenApiSchema Binary() => new() { Type = JsonSchemaType.String, Format = "binary" };
        }
    }
}

/// <summary>
/// The endpoint takes a picture in any of our ways. Not ASP.NET Core's own <c>Accepts</c>: routing would then refuse a picture for its content type, which curl
/// and many scripts get wrong; the content decides.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class PictureBodyAttribute : Attribute;
