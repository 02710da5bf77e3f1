using System.IO.Compression;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Whatsit.Inference;
using Whatsit.Server.Management;

namespace Whatsit.Server.Limits;

/// <summary>
/// What every route's request body goes through: refused by its announced length, bounded where it announces none, unpacked, and read to its end after a
/// refusal.
/// <code>
///   network ──► GuardedBody ──► gzip, deflate, br ──► UnpackedBody ──► the route
///               bytes, pauses                         bytes
/// </code>
/// </summary>
internal static class RequestBodies
{
    // A client that is still sending reads the answer only when it is done; the least patient of them give up after a minute.
    private static readonly TimeSpan DrainFor = TimeSpan.FromSeconds(60);

    // Each has buffers of its own, and a header has room for thousands.
    private const int MostEncodings = 2;

    /// <summary>Kestrel's own limits, where ours say more: its answers have no sentence, and its rate is an average since the start.</summary>
    public static void UseRequestLimits(this KestrelServerOptions kestrel)
    {
        kestrel.Limits.MaxRequestBodySize = null;
        kestrel.Limits.MinRequestBodyDataRate = null;
        kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        // What a client may send ahead of the route that reads it; the default of 1 MB is outside of every budget.
        kestrel.Limits.MaxRequestBufferSize = 4 * ReceiveBlocks.Large;
        kestrel.Limits.Http2.InitialStreamWindowSize = 4 * ReceiveBlocks.Large;
    }

    public static void UseRequestBodies(this IApplicationBuilder app) => app.Use(static (context, next) =>
    {
        if (!CanHaveBody(context))
        {
            return next(context);
        }

        var limits = context.RequestServices.GetRequiredService<LimitsOptions>();
        var body = new GuardedBody(context.Request.Body, context.Upload(), limits, context);
        context.Features.Set(body);
        var refusal = context.Request.ContentLength > limits.RequestBytes
            ? GuardedBody.TooLarge(context.Request.ContentLength, limits.RequestBytes).Refusal
            : Unpack(context.Request, body, limits);
        return refusal is null ? next(context) : refusal.WriteAsync(context.Response, context.RequestAborted);
    });

    /// <summary>Outside of the log, whose line is about the answer.</summary>
    public static void UseDraining(this IApplicationBuilder app)
    {
        app.Use(static (context, next) => CanHaveBody(context) ? AnswerAsync(context, next) : next(context));

        static async Task AnswerAsync(HttpContext context, RequestDelegate next)
        {
            await next(context);
            if (context.Features.Get<GuardedBody>() is { IsReset: false } body)
            {
                await DrainAsync(context, body);
            }
        }
    }

    /// <summary>The request's account of memory and patience.</summary>
    public static Upload Upload(this HttpContext context)
    {
        if (context.Features.Get<Upload>() is not { } upload)
        {
            upload = new(context.RequestServices.GetRequiredService<UploadBudget>(), context, context.RequestServices.GetRequiredService<Shutdown>().Over);
            context.Features.Set(upload);
        }

        return upload;
    }

    /// <summary>What was packed, unpacked as it is read, to the limit of a request; nothing where the encoding is not known.</summary>
    public static Stream? Unpack(string encoding, Stream packed, LimitsOptions limits) => encoding.ToLowerInvariant() switch
    {
        "gzip" or "x-gzip" => new UnpackedBody(new GZipStream(packed, CompressionMode.Decompress), limits),
        "deflate" => new UnpackedBody(new DeflateBody(packed), limits),
        "br" => new UnpackedBody(new BrotliStream(packed, CompressionMode.Decompress), limits),
        "identity" => packed,
        _ => null,
    };

    private static bool CanHaveBody(HttpContext context) => context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: true };

    /// <summary>Has the route read what was packed (RFC 9110, 8.4), or says why that cannot be.</summary>
    private static Refusal? Unpack(HttpRequest request, GuardedBody body, LimitsOptions limits)
    {
        if (request.Headers.ContentEncoding.Count == 0)
        {
            request.Body = body;
            return null;
        }

        Stream unpacked = body;
        // In the order in which they were applied.
        var encodings = request.Headers.ContentEncoding.ToString().Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (encodings.Length > MostEncodings)
        {
            return Unsupported(request.Headers.ContentEncoding.ToString(),
                $"The body is packed {Counted.Of(encodings.Length, "time")} over; at most {MostEncodings} content encodings are supported.");
        }

        foreach (var encoding in encodings.Reverse())
        {
            if (Unpack(encoding, unpacked, limits) is not { } next)
            {
                return Unsupported(encoding, $"The content encoding '{Refusal.Shorten(encoding)}' is not supported. Send gzip, deflate, br or none.");
            }

            unpacked = next;
        }

        request.Body = unpacked;
        if (unpacked != body)
        {
            // Neither is true of what the route reads.
            request.ContentLength = null;
            request.Headers.ContentEncoding = default;
        }

        return null;

        static Refusal Unsupported(string encoding, string detail) => new(
            StatusCodes.Status415UnsupportedMediaType,
            "Unsupported encoding",
            "unsupported-content-encoding",
            detail,
            new Dictionary<string, object> { ["encoding"] = Refusal.Shorten(encoding) });
    }

    /// <summary>
    /// Reads what is left of an upload that was answered before its end. Were the connection closed under a client that still sends, its system would throw
    /// the answer away (RFC 9112, 9.6). Bounded by the limits of uploads, and in time.
    /// </summary>
    private static async Task DrainAsync(HttpContext context, GuardedBody body)
    {
        // A client that waits for "100 Continue" sends nothing after another answer; reading would ask it to.
        if (body.Ended
            || context.RequestAborted.IsCancellationRequested
            || context.RequestServices.GetRequiredService<Shutdown>().IsOver
            || (!body.Started && context.Request.Headers.Expect.Count > 0))
        {
            return;
        }

        await context.Response.CompleteAsync();
        using var patience = new CancellationTokenSource(DrainFor);
        var rest = new byte[16 * 1024];
        try
        {
            while (!patience.IsCancellationRequested && await body.ReadAsync(rest) > 0)
            {
            }
        }
        catch (Exception exception) when (exception is Microsoft.AspNetCore.Http.BadHttpRequestException or InferenceException or OperationCanceledException)
        {
            // It has its answer already.
        }
    }

    /// <summary>RFC 9110, 8.4.1.2: deflate is zlib's format, and some clients send the bare one; the first two bytes tell (RFC 1950, 2.2).</summary>
    private sealed class DeflateBody(Stream packed) : ReadOnlyStream
    {
        private readonly byte[] _start = new byte[2];
        private Stream? _unpacked;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (_unpacked is null)
            {
                var length = await packed.ReadAtLeastAsync(_start, _start.Length, throwOnEndOfStream: false, cancellationToken);
                var isZlib = (_start[0] & 0x0F) == 8 && ((_start[0] << 8) | _start[1]) % 31 == 0;
                var whole = new Joined(_start.AsMemory(0, length), packed);
                _unpacked = isZlib ? new ZLibStream(whole, CompressionMode.Decompress) : new DeflateStream(whole, CompressionMode.Decompress);
            }

            return await _unpacked.ReadAsync(buffer, cancellationToken);
        }

        private sealed class Joined(ReadOnlyMemory<byte> start, Stream rest) : ReadOnlyStream
        {
            private ReadOnlyMemory<byte> _start = start;

            public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
            {
                if (_start.IsEmpty)
                {
                    return rest.ReadAsync(buffer, cancellationToken);
                }

                var count = Math.Min(buffer.Length, _start.Length);
                _start[..count].CopyTo(buffer);
                _start = _start[count..];
                return ValueTask.FromResult(count);
            }
        }
    }

    /// <summary>An unpacked body, which may be a thousand times as long as what was sent.</summary>
    private sealed class UnpackedBody(Stream unpacked, LimitsOptions limits) : ReadOnlyStream
    {
        private long _length;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            try
            {
                var read = await unpacked.ReadAsync(buffer, cancellationToken);
                return (_length += read) <= limits.RequestBytes ? read : throw GuardedBody.TooLarge(null, limits.RequestBytes);
            }
            catch (Exception exception) when (exception is InvalidDataException or InvalidOperationException)
            {
                throw new InferenceException(InferenceError.InvalidRequest, "bad-content-encoding",
                    "The body is not packed as its Content-Encoding says, or ends too early.");
            }
        }
    }
}
