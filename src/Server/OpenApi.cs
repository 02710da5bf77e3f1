using Microsoft.OpenApi;
using Swashbuckle.AspNetCore.SwaggerGen;

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
            foreach (var documentation in Directory.EnumerateFiles(AppContext.BaseDirectory, "Whatsit.*.xml"))
            {
                swagger.IncludeXmlComments(documentation);
            }
        });
    }

    public static void MapOpenApiDocument(this WebApplication app)
    {
        app.UseSwagger();
        app.UseSwaggerUI(ui => ui.DocumentTitle = "Whatsit API");
    }

    /// <summary>A picture travels as a file, not as a JSON schema: Swagger UI then offers a file button.</summary>
    private sealed class PictureBodies : IOperationFilter
    {
        public void Apply(OpenApiOperation operation, OperationFilterContext context)
        {
            if (operation.RequestBody?.Content is not { } content)
            {
                return;
            }

            foreach (var (type, media) in content)
            {
                if (type.StartsWith("multipart/", StringComparison.Ordinal))
                {
                    media.Schema = new OpenApiSchema { Type = JsonSchemaType.Object, Properties = new Dictionary<string, IOpenApiSchema> { ["file"] = Binary() } };
                }
                else if (type is "image/*" or "application/octet-stream")
                {
                    media.Schema = Binary();
                }
            }

            static OpenApiSchema Binary() => new() { Type = JsonSchemaType.String, Format = "binary" };
        }
    }
}
