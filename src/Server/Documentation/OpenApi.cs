using Microsoft.AspNetCore.Http.Json;
using Microsoft.Extensions.Options;
using Microsoft.OpenApi;
using Swashbuckle.AspNetCore.SwaggerGen;
using Whatsit.Inference.Catalog;
using Whatsit.Server.Access;

namespace Whatsit.Server.Documentation;

/// <summary>
/// The OpenAPI document at <c>/swagger/v1/swagger.json</c> and Swagger UI at <c>/swagger</c>. What an endpoint takes and answers is said where it is mapped
/// (<see cref="DocumentedEndpoints"/>); <c>docs/openapi.json</c> is the same document, for clients that are generated from it.
/// </summary>
internal static class OpenApi
{
    /// <summary>The scheme of the keys of <c>Access:Keys</c> and <c>Management:KeySha256</c>.</summary>
    public const string Key = "key";

    public static void AddOpenApiDocument(this IServiceCollection services)
    {
        services.AddEndpointsApiExplorer();
        services.AddSingleton<ISerializerDataContractResolver, Contracts>();
        services.AddSwaggerGen(swagger =>
        {
            swagger.SwaggerDoc("v1", new OpenApiInfo
            {
                Title = "Whatsit",
                Version = "v1",
                Description = "A photo in, labels out. A refusal is `application/problem+json` (RFC 9457) with a stable `code`; "
                    + "an unknown route is `route-not-found`, a wrong method `method-not-allowed`.",
            });
            swagger.AddSecurityDefinition(Key, new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = "bearer" });
            swagger.SupportNonNullableReferenceTypes();
            swagger.NonNullableReferenceTypesAsRequired();
            foreach (var documentation in Directory.EnumerateFiles(AppContext.BaseDirectory, "Whatsit.*.xml"))
            {
                swagger.IncludeXmlComments(documentation);
            }

            swagger.SchemaFilter<DocumentedSchemas>();
            swagger.OperationFilter<DocumentedRequests>();
            swagger.OperationFilter<DocumentedAnswers>();
            swagger.DocumentFilter<DocumentedComponents>();
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

    /// <summary>Names as they are written: a manifest has its own.</summary>
    private sealed class Contracts(IOptions<JsonOptions> json, IOptions<SchemaGeneratorOptions> options) : ISerializerDataContractResolver
    {
        private readonly JsonSerializerDataContractResolver _routes = new(json.Value.SerializerOptions, options.Value);
        private readonly JsonSerializerDataContractResolver _manifest = new(ManifestJson.Default.Options, options.Value);

        public DataContract GetDataContractForType(Type type)
        {
            type = Nullable.GetUnderlyingType(type) ?? type;
            return (ManifestJson.Default.GetTypeInfo(type) is null ? _routes : _manifest).GetDataContractForType(type);
        }
    }
}
