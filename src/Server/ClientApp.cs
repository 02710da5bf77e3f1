using System.Buffers.Binary;
using System.IO.Compression;
using Microsoft.AspNetCore.StaticFiles;
using Microsoft.Extensions.FileProviders;
using Microsoft.Net.Http.Headers;
using Whatsit.Server.Predictions;

namespace Whatsit.Server;

/// <summary>
/// The page: what Vite built into <c>wwwroot</c>. Files that shrink lie there compressed (<c>.br</c> and <c>.gz</c>) and in no other form; they are sent so, and
/// unpacked for the few clients that take neither. Hashed ones may be kept for ever. Cross-origin isolation lets the browser's engine use threads.
/// </summary>
internal static partial class ClientApp
{
    private const string NoPage =
        "This server was built without its page, for which Node.js is needed. POST a picture to /predict; /swagger says what else there is.\n";

    public static void UseClientApp(this WebApplication app)
    {
        var files = app.Environment.WebRootFileProvider;
        if (!Find(files, "/index.html", out _).Exists)
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
                || Find(files, path, out var packed) is not { Exists: true, IsDirectory: false } file)
            {
                return next(context);
            }

            // https://developer.mozilla.org/docs/Web/API/Window/crossOriginIsolated: SharedArrayBuffer, and so threads in WebAssembly, need both.
            context.Response.Headers["Cross-Origin-Opener-Policy"] = "same-origin";
            context.Response.Headers["Cross-Origin-Embedder-Policy"] = embedded;
            return SendAsync(context, files, path, file, packed, type);
        });
    }

    // The packed one first: what lies beside it is of an older build.
    private static IFileInfo Find(IFileProvider files, string path, out bool packed)
    {
        var file = files.GetFileInfo(path + ".gz");
        packed = file.Exists;
        return packed ? file : files.GetFileInfo(path);
    }

    private static async Task SendAsync(HttpContext context, IFileProvider files, string path, IFileInfo file, bool packed, string type)
    {
        var (request, response) = (context.Request, context.Response);
        var etag = new EntityTagHeaderValue($"\"{file.LastModified.ToUnixTimeMilliseconds():x}-{file.Length:x}\"");
        response.Headers.ETag = etag.ToString();
        response.Headers.Vary = "Accept-Encoding";
        // Vite puts a hash of the content into the names under /assets.
        response.Headers.CacheControl = path.StartsWith("/assets/", StringComparison.Ordinal) ? "public, max-age=31536000, immutable" : "no-cache";
        var headers = request.GetTypedHeaders();
        if (headers.IfNoneMatch.Any(candidate => candidate.Compare(etag, useStrongComparison: false)))
        {
            response.StatusCode = StatusCodes.Status304NotModified;
            return;
        }

        response.ContentType = type.StartsWith("text/", StringComparison.Ordinal) ? $"{type}; charset=utf-8" : type;
        if (packed && Takes("br") && files.GetFileInfo(path + ".br") is { Exists: true } smaller)
        {
            response.Headers.ContentEncoding = "br";
            file = smaller;
        }
        else if (packed && Takes("gzip"))
        {
            response.Headers.ContentEncoding = "gzip";
        }
        else if (packed)
        {
            await SendUnpackedAsync(context, file);
            return;
        }

        response.ContentLength = file.Length;
        if (!HttpMethods.IsHead(request.Method))
        {
            await response.SendFileAsync(file, context.RequestAborted);
        }

        bool Takes(string encoding) =>
            headers.AcceptEncoding.Any(accepted => accepted.Value.Equals(encoding, StringComparison.OrdinalIgnoreCase) && accepted.Quality != 0);
    }

    // gzip and not Brotli, whose decoder holds a window of megabytes for each client; and gzip says at its end how long it was (RFC 1952, 2.3.1: ISIZE).
    private static async Task SendUnpackedAsync(HttpContext context, IFileInfo packed)
    {
        await using var file = packed.CreateReadStream();
        var size = new byte[sizeof(uint)];
        file.Seek(-size.Length, SeekOrigin.End);
        await file.ReadExactlyAsync(size, context.RequestAborted);
        context.Response.ContentLength = BinaryPrimitives.ReadUInt32LittleEndian(size);
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            file.Position = 0;
            await using var unpacked = new GZipStream(file, CompressionMode.Decompress);
            await unpacked.CopyToAsync(context.Response.Body, context.RequestAborted);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning,
            Message = "There is no page: this server was built without Node.js. It answers POST /predict and the other routes")]
        public static partial void NoPage(ILogger logger);
    }
}
