using Microsoft.AspNetCore.StaticFiles;
using Microsoft.Extensions.FileProviders;
using Microsoft.Net.Http.Headers;
using Whatsit.Server.Predictions;

namespace Whatsit.Server;

/// <summary>
/// The page: what Vite built into <c>wwwroot</c>. Files were compressed at build (<c>.br</c>, <c>.gz</c> beside them) and are sent so; hashed ones may be kept
/// for ever. Cross-origin isolation lets the browser's engine use threads.
/// </summary>
internal static partial class ClientApp
{
    private const string NoPage =
        "This server was built without its page, for which Node.js is needed. POST a picture to /predict; /swagger says what else there is.\n";

    private static readonly (string Encoding, string Suffix)[] Encodings = [("br", ".br"), ("gzip", ".gz")];

    public static void UseClientApp(this WebApplication app)
    {
        var files = app.Environment.WebRootFileProvider;
        if (!files.GetFileInfo("index.html").Exists)
        {
            Log.NoPage(app.Logger);
            app.MapGet("/", () => Results.Text(NoPage)).ExcludeFromDescription();
            return;
        }

        // Pictures that a visitor names by their address come from servers that know nothing of this page: without cookies they may. Safari does not know that,
        // and has one thread then.
        var embedded = app.Services.GetRequiredService<FetchOptions>().Enabled ? "credentialless" : "require-corp";
        var types = new FileExtensionContentTypeProvider
        {
            Mappings = { [".webmanifest"] = "application/manifest+json", [".mjs"] = "text/javascript",
            [".onnx"] = "application/octet-stream" }
        };
        app.Use((context, next) =>
        {
            var request = context.Request;
            var path = request.Path.Value is "/" or null ? "/index.html" : request.Path.Value;
            if (!(HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method)) || context.GetEndpoint() is RouteEndpoint
                || !types.TryGetContentType(path, out var type)
                || files.GetFileInfo(path) is not { Exists: true, IsDirectory: false } file)
            {
                return next(context);
            }

            // https://developer.mozilla.org/docs/Web/API/Window/crossOriginIsolated: SharedArrayBuffer, and so threads in WebAssembly, need both.
            context.Response.Headers["Cross-Origin-Opener-Policy"] = "same-origin";
            context.Response.Headers["Cross-Origin-Embedder-Policy"] = embedded;
            return SendAsync(context, files, path, file, type);
        });
    }

    private static async Task SendAsync(HttpContext context, IFileProvider files, string path, IFileInfo file, string type)
    {
        var (request, response) = (context.Request, context.Response);
        var etag = new EntityTagHeaderValue($"\"{file.LastModified.ToUnixTimeMilliseconds():x}-{file.Length:x}\"");
        response.Headers.ETag = etag.ToString();
        response.Headers.Vary = "Accept-Encoding";
        // Vite puts a hash of the content into the names under /assets.
        response.Headers.CacheControl = path.StartsWith("/assets/", StringComparison.Ordinal) ? "public, max-age=31536000, immutable" : "no-cache";
        if (request.GetTypedHeaders().IfNoneMatch.Any(candidate => candidate.Compare(etag, useStrongComparison: false)))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        foreach (var (encoding, suffix) in Encodings)
        {
            if (request.Headers.AcceptEncoding.ToString().Contains(encoding, StringComparison.OrdinalIgnoreCase)
                && files.GetFileInfo(path + suffix) is { Exists: true } compressed)
            {
                response.Headers.ContentEncoding = encoding;
                file = compressed;
                break;
            }
        }

        response.ContentType = type.StartsWith("text/", StringComparison.Ordinal) ? $"{type}; charset=utf-8" : type;
        response.ContentLength = file.Length;
        if (!HttpMethods.IsHead(request.Method))
        {
            await response.SendFileAsync(file, context.RequestAborted);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning,
            Message = "There is no page: this server was built without Node.js. It answers POST /predict and the other routes")]
        public static partial void NoPage(ILogger logger);
    }
}
