using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Whatsit.ModelTools.Tests.Hub;

/// <summary>
/// A hub on this machine with one repository, <c>someone/leaves</c>, that speaks the routes of Hugging Face's own clients (@huggingface/hub: model-info,
/// list-files, file-download-info, download-file): lists in pages, large files by a redirect to a host of their own, ranges, entity tags and error codes.
/// </summary>
internal sealed class SmallHub : IAsyncDisposable
{
    public const string Repository = "someone/leaves";
    public const string Commit = "0123456789abcdef0123456789abcdef01234567";

    private readonly WebApplication _hub;
    private readonly WebApplication _store;

    private SmallHub(WebApplication hub, WebApplication store) => (_hub, _store) = (hub, store);

    public Uri Address { get; private set; } = null!;

    public SortedDictionary<string, byte[]> Files { get; } = new(StringComparer.Ordinal);

    /// <summary>Who may read it; anybody where it is empty.</summary>
    public string Token { get; set; } = "";

    public bool Gated { get; set; }

    public string Task { get; set; } = "image-classification";

    /// <summary>After how many bytes of a large file the connection breaks, once each.</summary>
    public ConcurrentQueue<int> Breaks { get; } = [];

    /// <summary>Statuses that are answered instead, once each.</summary>
    public ConcurrentQueue<int> Troubles { get; } = [];

    /// <summary>Gives out other bytes than were announced.</summary>
    public bool Lies { get; set; }

    /// <summary>What was asked for, with the range.</summary>
    public ConcurrentQueue<string> Asked { get; } = [];

    public static async Task<SmallHub> StartAsync()
    {
        var hub = new SmallHub(Create(), Create());
        hub._hub.Run(hub.AnswerAsync);
        hub._store.Run(hub.StoreAsync);
        await hub._hub.StartAsync();
        await hub._store.StartAsync();
        hub.Address = new Uri(AddressOf(hub._hub));
        return hub;

        static WebApplication Create()
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            return builder.Build();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _hub.DisposeAsync();
        await _store.DisposeAsync();
    }

    private static string AddressOf(WebApplication application) =>
        application.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();

    private async Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        Asked.Enqueue($"{path} {context.Request.Headers.Range}".TrimEnd());
        if (Troubles.TryDequeue(out var status))
        {
            context.Response.StatusCode = status;
            return;
        }

        if (path.StartsWith("/plain/", StringComparison.Ordinal))
        {
            await SendAsync(context, Files[path["/plain/".Length..]]);
            return;
        }

        if (Token.Length > 0 && context.Request.Headers.Authorization != $"Bearer {Token}")
        {
            await FailAsync(context, 401, Gated ? "GatedRepo" : "RepoNotFound");
        }
        else if (!path.Contains($"/{Repository}/", StringComparison.Ordinal))
        {
            await FailAsync(context, 404, "RepoNotFound");
        }
        else if (path.Split('/') is ["", "api", "models", _, _, "revision", var revision])
        {
            await (revision is "main" or "HEAD" or "v1" or Commit
                ? WriteAsync(context, new JsonObject { ["id"] = Repository, ["sha"] = Commit, ["pipeline_tag"] = Task })
                : FailAsync(context, 404, "RevisionNotFound"));
        }
        else if (path.Split('/') is ["", "api", "models", _, _, "tree", Commit])
        {
            await ListAsync(context);
        }
        else if (path.StartsWith($"/{Repository}/resolve/{Commit}/", StringComparison.Ordinal)
            && path[$"/{Repository}/resolve/{Commit}/".Length..] is var file && Files.TryGetValue(file, out var content))
        {
            if (IsLarge(file))
            {
                context.Response.Headers["X-Linked-Size"] = content.Length.ToString(CultureInfo.InvariantCulture);
                context.Response.Headers["X-Linked-ETag"] = $"\"{Convert.ToHexStringLower(SHA256.HashData(content))}\"";
                context.Response.Redirect($"{AddressOf(_store)}/{file}");
                return;
            }

            await SendAsync(context, content);
        }
        else
        {
            await FailAsync(context, 404, "EntryNotFound");
        }
    }

    private async Task StoreAsync(HttpContext context)
    {
        Asked.Enqueue($"store{context.Request.Path} {context.Request.Headers.Range}".TrimEnd());
        if (context.Request.Headers.Authorization.Count > 0)
        {
            context.Response.StatusCode = 400; // as the store of large files does: the token is none of its business
            return;
        }

        await SendAsync(context, Files[context.Request.Path.Value![1..]]);
    }

    private async Task SendAsync(HttpContext context, byte[] content)
    {
        var from = 0;
        var tag = $"\"{Convert.ToHexStringLower(SHA256.HashData(content))[..16]}\"";
        context.Response.Headers.ETag = tag;
        var to = content.Length - 1;
        if (context.Request.Headers.Range.ToString() is ['b', ..] range
            && (context.Request.Headers.IfRange.Count == 0 || context.Request.Headers.IfRange == tag))
        {
            var ends = range["bytes=".Length..].Split('-');
            from = int.Parse(ends[0], CultureInfo.InvariantCulture);
            to = ends[1].Length > 0 ? Math.Min(to, int.Parse(ends[1], CultureInfo.InvariantCulture)) : to;
            context.Response.StatusCode = from < content.Length ? 206 : 416;
            context.Response.Headers.ContentRange = $"bytes {from}-{to}/{content.Length}";
        }

        byte[] rest = [.. content[from..(to + 1)].Select(value => Lies ? (byte)~value : value)];
        context.Response.ContentLength = rest.Length;
        if (Breaks.TryDequeue(out var most) && most < rest.Length)
        {
            await context.Response.Body.WriteAsync(rest.AsMemory(0, most));
            return; // the server notices that there is less than was announced, and closes
        }

        await context.Response.Body.WriteAsync(rest);
    }

    // One file for each page.
    private async Task ListAsync(HttpContext context)
    {
        var cursor = int.Parse(context.Request.Query["cursor"].FirstOrDefault() ?? "0", CultureInfo.InvariantCulture);
        if (cursor + 1 < Files.Count)
        {
            // Under the name that it was asked by, which is another one through a proxy.
            context.Response.Headers.Link =
                $"<http://{context.Request.Host}/api/models/{Repository}/tree/{Commit}?recursive=true&cursor={cursor + 1}>; rel=\"next\"";
        }

        var list = new JsonArray(new JsonObject { ["type"] = "directory", ["path"] = "onnx", ["size"] = 0, ["oid"] = new string('0', 40) });
        foreach ((var path, var content) in Files.Skip(cursor).Take(1))
        {
            list.Add(new JsonObject
            {
                ["type"] = "file",
                ["path"] = path,
                ["size"] = content.Length,
                ["oid"] = GitHash(content),
                ["lfs"] = IsLarge(path) ? new JsonObject
                {
                    ["oid"] = Convert.ToHexStringLower(SHA256.HashData(content)),
                    ["size"] = content.Length,
                    ["pointerSize"] = 134,
                } : null,
            });
        }

        await WriteAsync(context, list);
    }

    private static bool IsLarge(string path) => path.EndsWith(".onnx", StringComparison.Ordinal) || path.EndsWith("_data", StringComparison.Ordinal)
        || path.EndsWith(".safetensors", StringComparison.Ordinal);

#pragma warning disable CA5350 // git's own hash
    private static string GitHash(byte[] content) =>
        Convert.ToHexStringLower(SHA1.HashData([.. Encoding.ASCII.GetBytes($"blob {content.Length}\0"), .. content]));
#pragma warning restore CA5350

    private static Task FailAsync(HttpContext context, int status, string code)
    {
        context.Response.StatusCode = status;
        context.Response.Headers["X-Error-Code"] = code;
        return WriteAsync(context, new JsonObject { ["error"] = code });
    }

    private static Task WriteAsync(HttpContext context, JsonNode json)
    {
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(json.ToJsonString());
    }
}
